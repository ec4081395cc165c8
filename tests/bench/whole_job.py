"""A whole job of Kiln with a warm store against another program's, in turn, on the same clip and cores.

    build/release/venv/bin/python tests/bench/whole_job.py --package DIR --clip FILE --state DIR --frames 50
        --peer "COMMAND" [--rounds 3]

COMMAND is run by a shell; it reads the clip and writes wherever it likes. Prints JSON: seconds of both and the ratio peer /
Kiln, round by round (1.5 is promised against Real-ESRGAN's own video script)."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
KILN = HERE.parents[1] / "build" / "release" / "bin" / "kiln"


def timed(command, **options):
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", required=True)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--state", required=True, type=pathlib.Path)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--frames", type=int, required=True, help="of the clip")
    parser.add_argument("--lanes", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    output = options.state / "whole-job.mp4"
    kiln = [str(KILN), "run", "upscale", options.clip, "-o", str(output), "--overwrite", "--model", options.package,
            "--state", str(options.state), "--lanes", options.lanes, "--executor", "compiled"]
    timed(kiln)  # the artifact, and warm files
    timed(options.peer, shell=True)
    rounds = []
    for _ in range(options.rounds):
        ours, theirs = timed(kiln), timed(options.peer, shell=True)
        rounds.append({"kiln_s": ours, "peer_s": theirs, "ratio": theirs / ours})
        print(f"Kiln {ours:.1f} s ({options.frames / ours:.2f} fps), peer {theirs:.1f} s "
              f"({options.frames / theirs:.2f} fps)", file=sys.stderr)
    print(json.dumps({"rounds": rounds, "median_ratio": statistics.median(one["ratio"] for one in rounds)}, indent=1))


if __name__ == "__main__":
    main()
