"""Two minutes of work with a warm store: the whole job against the model alone with every core loaded, in turn.

    build/release/venv/bin/python tests/bench/steady_state.py --package DIR --clip FILE --state DIR [--rounds 2]

The clip is repeated until it holds --frames frames. The model alone is the same network under torch.compile in plain
Python, one process for each lane, on as many frames. Prints JSON; `ratio` is wall of the job / wall of the model (at
most 1.10 is promised where decode and encode are small)."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import plain_torch

HERE = pathlib.Path(__file__).resolve().parent
KILN = HERE.parents[1] / "build" / "release" / "bin" / "kiln"


def make_clip(source, frames, target):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(source), "-map", "0:v:0", "-frames:v",
                    str(frames), "-c:v", "libx264", "-crf", "12", str(target)], check=True)


def run_kiln(options, clip, output, executor="compiled"):
    output.unlink(missing_ok=True)
    done = subprocess.run(
        [str(KILN), "--json", "run", "upscale", str(clip), "-o", str(output), "--model", str(options.package), "--state",
         str(options.state), "--executor", executor, "--lanes", str(options.processes), "--threads-per-lane",
         str(options.threads), "--preset", "ultrafast"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    plain_torch.add_network_options(parser)
    parser.add_argument("--clip", required=True, type=pathlib.Path)
    parser.add_argument("--state", required=True, type=pathlib.Path)
    parser.add_argument("--frames", type=int, default=360)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    clip, output = options.state / "steady-in.mp4", options.state / "steady-out.mp4"
    make_clip(options.clip, 4, clip)
    run_kiln(options, clip, output)  # the artifact
    make_clip(options.clip, options.frames, clip)
    rounds = []
    for _ in range(options.rounds):
        report = run_kiln(options, clip, output)
        model = plain_torch.all_cores(options)
        rounds.append({"wall_s": report["wall_s"], "first_frame_s": report["first_frame_s"], "model_alone_s": model["wall_s"],
                       "ratio": report["wall_s"] / model["wall_s"], "lanes": report["lanes"]})
        print(f"{rounds[-1]['wall_s']:.1f} s against {rounds[-1]['model_alone_s']:.1f} s", file=sys.stderr)
    print(json.dumps({"frames": options.frames, "rounds": rounds,
                      "median_ratio": statistics.median(one["ratio"] for one in rounds)}, indent=1))


if __name__ == "__main__":
    main()
