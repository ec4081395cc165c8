"""The model part of a lane against the same network under torch.compile in plain Python, in turn.

    python3 tests/bench/model_against_torch_compile.py --kiln build/release/bin/kiln --package DIR --clip FILE
        --state DIR [--threads 1] [--rounds 5] [--out FILE]

Each round renders the clip with one lane (--executor compiled, warm store) and takes the seconds that the
lane's model stage counted, then times the compiled Python module on as many frames of the same size.
Prints JSON: seconds a frame of both, and the ratio torch.compile / Kiln round by round (above 1: Kiln is
faster). Leave a core free for decoder and encoder: with all cores in --threads they slow the lane down.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

import plain_torch
import torch


def time_kiln(arguments, output):
    output.unlink(missing_ok=True)
    done = subprocess.run(
        [arguments.kiln, "--json", "run", "upscale", arguments.clip, "-o", str(output), "--model",
         str(arguments.package), "--state", arguments.state, "--executor", "compiled", "--lanes", "1",
         "--threads-per-lane", str(arguments.threads), "--preset", "ultrafast", *arguments.flag],
        capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    lane = report["lanes"][0]
    return lane["model_s"] / lane["frames"], report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kiln", required=True)
    plain_torch.add_network_options(parser)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--flag", action="append", default=[], help="one more flag of kiln run upscale")
    parser.add_argument("--out", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compiled, inputs = plain_torch.load_network(arguments.package, arguments.height, arguments.width)
    plain_torch.seconds_per_frame(compiled, inputs, 2)
    output = pathlib.Path(arguments.state) / f"bench-{os.getpid()}.mp4"
    time_kiln(arguments, output)
    rounds = []
    for _ in range(arguments.rounds):
        kiln_s, report = time_kiln(arguments, output)
        torch_s = plain_torch.seconds_per_frame(compiled, inputs, arguments.frames)
        rounds.append({"kiln_frame_s": kiln_s, "torch_compile_frame_s": torch_s, "ratio": torch_s / kiln_s,
                       "first_frame_s": report["first_frame_s"], "wall_s": report["wall_s"]})
    output.unlink(missing_ok=True)
    ratios = [one["ratio"] for one in rounds]
    result = {"threads": arguments.threads, "rounds": rounds, "median_ratio": statistics.median(ratios),
              "least_ratio": min(ratios), "largest_ratio": max(ratios)}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        pathlib.Path(arguments.out).write_text(text)


if __name__ == "__main__":
    main()
