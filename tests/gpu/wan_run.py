"""Wan's pipeline on a card: the golden tests there, and where the time goes at true width. Writes JSON.

    python3 tests/gpu/wan_run.py --build BUILD --out FILE.json [--device cuda:0] [--package DIR] [--size 832x480] [--frames 81] [--steps 3]

BUILD is a build folder with tests/lane_wan_tests, bench/generate_clip and fixtures/wan-*, which the tests make where they ran first,
and beside it lie the sources that it was built from. --package: of a whole model, with graphs in bfloat16 (and float32 for the VAE),
run once untiled and once in tiles; nothing is compared there. torch's libraries are found as the programs were linked, or by
LD_LIBRARY_PATH. Memory is the driver's for the whole card, sampled by nvidia-smi, less what was used before."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ERROR = re.compile(r"^(.*?) ?(same within|mistake of) ([0-9.e+-]+|inf|nan)$", re.M)


def golden(build: pathlib.Path, device: str) -> dict:
    """Each test's outcome, the largest error and the smallest mistake."""
    environment = os.environ | {"KILN_SOURCE_DIR": str(SOURCE), "KILN_BINARY_DIR": str(build), "KILN_WAN_DEVICE": device}
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "tests.json")
        command = [str(build / "tests" / "lane_wan_tests"), f"--gtest_output=json:{report}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if not report.exists():
            return {"exit": done.returncode, "error": (done.stderr + done.stdout)[-2000:]}
        suites = json.loads(report.read_text())["testsuites"]
    tests = {f"{suite['name']}.{test['name']}": "failures" not in test for suite in suites for test in suite["testsuite"]}
    found = {kind: [float(value) for _, said, value in ERROR.findall(done.stderr) if said == kind] for kind in ("same within", "mistake of")}
    return {"exit": done.returncode, "tests": len(tests), "failed": sorted(name for name, passed in tests.items() if not passed),
            "largest_error": max(found["same within"], default=None), "smallest_mistake": min(found["mistake of"], default=None),
            "failures": [] if done.returncode == 0 else done.stdout[-4000:].splitlines()}


class CardMemory(threading.Thread):
    """The largest use of the card while it runs, in MiB."""

    def __init__(self, device: str):
        super().__init__(daemon=True)
        self.index = device.rpartition(":")[2]
        self.before = self.peak = self.now()
        self.ended = threading.Event()

    def now(self) -> int:
        command = ["nvidia-smi", f"--id={self.index}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def run(self):
        while not self.ended.wait(0.1):
            self.peak = max(self.peak, self.now())

    def stop(self) -> int:
        self.ended.set()
        self.join()
        return self.peak - self.before


def whole_model(build: pathlib.Path, options: argparse.Namespace, *more: str) -> dict:
    memory = CardMemory(options.device)
    memory.start()
    command = [str(build / "bench" / "generate_clip"), "--package", options.package, "--device", options.device, "--text", "bfloat16",
               "--transformer", "bfloat16", "--vae", options.vae, "--size", options.size, "--frames", options.frames, "--steps",
               options.steps, *more]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    peak = memory.stop()
    if done.returncode != 0:
        return {"exit": done.returncode, "error": done.stderr[-2000:], "peak_mib": peak}
    return json.loads(done.stdout) | {"peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--package")
    parser.add_argument("--vae", default="float32")
    parser.add_argument("--size", default="832x480")
    parser.add_argument("--frames", default="81")
    parser.add_argument("--steps", default="3")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    results = {"device": options.device}

    def save() -> None:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1))

    results["golden"] = golden(build, options.device)
    save()
    if options.package:
        results["whole"] = whole_model(build, options)
        save()
        results["tiles"] = whole_model(build, options, "--tiles", "256x192")
        save()


if __name__ == "__main__":
    main()
