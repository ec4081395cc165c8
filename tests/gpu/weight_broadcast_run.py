"""Checks on a machine with two cards that lanes share weights, and writes what it saw as JSON.

    python3 tests/gpu/weight_broadcast_run.py --bundle TAR --package DIR --programs DIR --out DIR [--device cuda|cpu] [--nccl LIBRARY]
        [--only copies,no-library,farm]

Broadcast weights are those of separate copies, bit for bit (hashes of what is on the cards); a root and a receiver that are killed
with -9 in mid-broadcast hold nobody up for two seconds; without the library all is copied. Then a farm with both cards renders a
clip with broadcast weights, and one with one card the same without: equal frames. DIR is a build folder with
bench/weight_copies and tests/share_member. --device cpu is a rehearsal: plain memory, and lanes of the CPU, which share nothing."""

import argparse
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench" / "upscale_gpu"))
import jobs  # noqa: E402
import scale  # noqa: E402
import weights  # noqa: E402

BYTES = 2_000_000_000
REHEARSED_BYTES = 400_000_000
FRAMES = 240
GOES_ON_WITHIN_S = 2.0
LOADED = re.compile(r"lane (\d+): .* of weights in .*")


class Checks:
    def __init__(self, out):
        self.file, self.results = out / "weight_broadcast.json", {}

    def note(self, name, passed, **more):
        self.results[name] = {"passed": bool(passed), **more}
        self.file.write_text(json.dumps(self.results, indent=1))
        print("ok  " if passed else "FAIL", name, {key: value for key, value in more.items() if key != "rounds"}, flush=True)

    def attempt(self, name, check):
        try:
            check()
        except Exception as error:  # the others are worth having
            self.note(name, False, error=repr(error))


def size_of(options):
    return REHEARSED_BYTES if options.device == "cpu" else BYTES


def copies(options, bench, modes, name, nccl):
    words = ["--bundle", options.bundle, "--programs", options.programs, "--out", str(pathlib.Path(options.out) / f"{name}.json"), "--bytes",
             str(size_of(options)), "--rounds", "1", "--modes", modes, "--device", "host" if options.device == "cpu" else "cuda", "--deadline", "180"]
    return weights.run(weights.arguments().parse_args(words + (["--nccl", nccl] if nccl else [])), bench.root)


def check_copies(checks, options, bench):
    result = copies(options, bench, weights.MODES, "copies", options.nccl)
    rounds = {row["mode"]: row for row in result["rounds"]}
    hashes = result["summary"]["hashes"]
    checks.note("broadcast weights are those of separate copies", len(hashes) == 1 and "broadcast" in rounds, hashes=hashes)
    shared = rounds["broadcast"]["members"]
    checks.note("nothing crosses the second card's link", shared[1]["copied_bytes"] == 0 and shared[1]["received_bytes"] == size_of(options),
                members=shared, why=rounds["broadcast"]["why"], slot_rx_bytes_by_nvml=rounds["broadcast"]["slot_rx_bytes_by_nvml"])
    for who in ("root", "receiver"):
        row = rounds[f"kill-{who}"]
        after = row.get("others_whole_after_death_s")
        checks.note(f"a killed {who} holds nobody up", row.get("ended") and after is not None and after < GOES_ON_WITHIN_S, seconds=after,
                    members=row["members"])


def check_no_library(checks, options, bench):
    row = copies(options, bench, "broadcast", "no-library", "/nowhere/libnccl.so.2")["rounds"][0]
    copied = [member["copied_bytes"] == size_of(options) for member in row["members"]]
    checks.note("without the library all is copied", row["ended"] and all(copied), why=row["why"])


def render(bench, cards, least_mib):
    clip = bench.clip(*(("640x360", FRAMES) if bench.device != "cpu" else ("160x90", FRAMES // 10)))
    farm = scale.Farm(bench, cards, jobs.os.cpu_count(), [], {"KILN_WORKER_BROADCAST_MIN_MIB": str(least_mib)})
    try:
        job = farm.submit([clip], bench.package, codec="ffv1", executor="uncompiled")
        status = farm.finish(job)
        farm.ask("fetch", job, "-o", str(bench.work), "--overwrite")
        workers = farm.ask("workers")["workers"]
    finally:
        farm.close()
    video = str(bench.work / "out-0.mkv")
    frames = jobs.run([bench.ffmpeg, "-v", "error", "-nostdin", "-i", video, "-map", "0:v", "-f", "md5", "-"])
    said = farm.log("worker")
    return {"state": status["state"], "md5": frames.strip(), "lanes": [lane.get("device_name") for worker in workers for lane in worker["lanes"]],
            "loaded": [match[0] for match in LOADED.finditer(said)], "groups": re.findall(r".*weights are not broadcast.*", said)}


def check_farm(checks, options, bench):
    alone, both = render(bench, 1, 0), render(bench, 2, 0)
    checks.note("one card's frames are those of two", alone["md5"] == both["md5"] and both["state"] == "done", alone=alone, both=both)
    if options.device == "cpu":
        return
    received = [line for line in both["loaded"] if not line.split(" by broadcast")[0].endswith(" 0.0")]
    checks.note("a lane of two received its weights", len(received) == 1, loaded=both["loaded"], groups=both["groups"])
    checks.note("a lane alone says that it is", any("there is one card" in line for line in alone["loaded"]), loaded=alone["loaded"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--nccl")
    parser.add_argument("--only", default="copies,no-library,farm")
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    checks = Checks(out)
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    parts = {"copies": check_copies, "no-library": check_no_library, "farm": check_farm}
    for name in options.only.split(","):
        checks.attempt(name, lambda check=parts[name]: check(checks, options, bench))
    bench.close()
    sys.exit(0 if all(result["passed"] for result in checks.results.values()) else 1)


if __name__ == "__main__":
    main()
