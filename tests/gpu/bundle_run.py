"""Runs an unpacked bundle on a machine with a card and writes what it saw as JSON.

    python3 tests/gpu/bundle_run.py --bundle TAR --package DIR --out DIR [--device cuda:0] [--tests DIR]

CPU lanes render the bundle's clip (cold, then warm), then the same package renders it through the graph
runner on the card; frames of all ways are compared. Nothing beyond Python with torch and numpy is needed
on that machine. `--tests`: a folder with the program gpu_tests and the networks' folders in `fixtures` to run as well.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np


class Run:
    def __init__(self, arguments):
        self.out = pathlib.Path(arguments.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.work = self.out / "work"
        self.work.mkdir(exist_ok=True)
        subprocess.run(["tar", "-xf", arguments.bundle, "-C", str(self.work)], check=True)
        self.root = next(path for path in self.work.iterdir() if (path / "bin" / "kiln").exists())
        self.kiln = str(self.root / "bin" / "kiln")
        self.clip = str(self.root / "share" / "clip.mp4")
        self.package = arguments.package
        self.results = {}

    def upscale(self, name, *flags, python=sys.executable, env=None):
        """One `kiln run upscale` to an ffv1 file; returns its report, or the error."""
        output = self.work / f"{name}.mkv"
        output.unlink(missing_ok=True)
        command = [self.kiln, "--json", "run", "upscale", self.clip, "-o", str(output), "--model", self.package,
                   "--codec", "ffv1", "--python", python, *flags]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=400, check=False)
        report = {"exit": done.returncode, "seconds": round(time.monotonic() - started, 2),
                  "stderr": done.stderr[-1500:]}
        if done.returncode == 0:
            report["report"] = json.loads(done.stdout)
        self.results[name] = report
        self.save()
        return report

    def frames(self, name):
        """The decoded planes of an output, as one array of code values."""
        raw = subprocess.run([str(self.root / "bin" / "ffmpeg"), "-v", "error", "-nostdin", "-i",
                              str(self.work / f"{name}.mkv"), "-f", "rawvideo", "-"],
                             capture_output=True, check=True).stdout
        return np.frombuffer(raw, np.uint8)

    def compare(self, left, right):
        a, b = self.frames(left).astype(np.int16), self.frames(right).astype(np.int16)
        if a.shape != b.shape:
            result = {"shapes": [a.shape, b.shape]}
        else:
            difference = np.abs(a - b)
            result = {"largest": int(difference.max()), "share_that_differs": float((difference > 0).mean())}
        self.results[f"{left} against {right}"] = result
        self.save()

    def save(self):
        text = json.dumps(self.results, indent=1)
        (self.out / "bundle_run.json").write_text(text)


def torch_folder():
    import importlib.util
    return os.path.dirname(importlib.util.find_spec("torch").origin)


def run_tests(run, folder):
    env = dict(os.environ, KILN_TEST_FIXTURES=f"{folder}/fixtures", KILN_SOURCE_DIR=os.getcwd(), KILN_PYTHON=sys.executable,
               LD_LIBRARY_PATH=f"{run.root}/lib:{torch_folder()}/lib")
    done = subprocess.run([f"{folder}/gpu_tests"], capture_output=True, text=True, env=env, timeout=300, check=False)
    (run.out / "gpu_tests.log").write_text(done.stdout + done.stderr)
    run.results["gpu_tests"] = {"exit": done.returncode, "tail": done.stdout[-1500:], "figures": done.stderr[-1500:]}
    run.save()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--tests", default="")
    arguments = parser.parse_args()
    run = Run(arguments)
    state = str(run.work / "state")
    run.results["version"] = subprocess.run([run.kiln, "--version"], capture_output=True, text=True, check=True,
                                            env={}).stdout
    run.upscale("cold", "--lanes", "2", "--state", state)
    run.upscale("warm", "--lanes", "2", "--state", state, "--executor", "compiled")
    run.upscale("uncompiled", "--lanes", "2", "--state", state, "--executor", "uncompiled")
    run.upscale("card", "--device", arguments.device, "--executor", "uncompiled", "--state", state)
    run.upscale("without_python", "--executor", "uncompiled", "--state", state, "--torch", torch_folder(),
                python="/nonexistent/python", env={"HOME": "/tmp", "PATH": "/nonexistent"})
    for other in ("cold", "warm", "card", "without_python"):
        if run.results[other]["exit"] == 0:
            run.compare("uncompiled", other)
    if arguments.tests:
        run_tests(run, arguments.tests)
    print(json.dumps({name: {key: value for key, value in result.items() if key != "report"}
                      if isinstance(result, dict) else result for name, result in run.results.items()}, indent=1))


if __name__ == "__main__":
    main()
