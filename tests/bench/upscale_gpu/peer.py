"""A whole warm job on a card into an encoder that encodes nothing, against another program that upscales clips, in turn.

    python3 tests/bench/upscale_gpu/peer.py --bundle TAR --package DIR --null-encoder PROGRAM --out FILE.json --peer "COMMAND"
        [--device cuda:0] [--rounds 3] [--frames 300] [--size 1280x720]

COMMAND is run by a shell, with {clip}, {folder} (for what it writes) and {ffmpeg} put in: an ffmpeg that decodes as the bundle's does, and
that as an encoder (`-i pipe:`) reads every byte of its pipe and drops it. Kiln's encoder is PROGRAM, which does the same. Both are
timed from the command's start to its end, on the same clip. The file is written after every round."""

import json
import os
import pathlib
import statistics
import subprocess
import time

import frame_loop
import jobs

PEER_DEADLINE_S = 400


def reading_ffmpeg(bench):
    """A folder with ffmpeg and ffprobe for the peer."""
    folder = bench.work / "peer-media"
    folder.mkdir()
    wrapper = folder / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *"-i pipe:"*) exec cat >/dev/null;; *) exec {bench.ffmpeg} "$@";; esac\n')
    wrapper.chmod(0o755)
    os.symlink(bench.ffprobe, folder / "ffprobe")
    return folder


def peer_seconds(command, bench, media, clip):
    folder = bench.work / "peer"
    folder.mkdir(exist_ok=True)
    words = command.format(clip=clip, folder=folder, ffmpeg=media / "ffmpeg")
    started = time.monotonic()
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=PEER_DEADLINE_S, check=False,
                          env={**os.environ, "PATH": f"{media}:{os.environ['PATH']}"})
    if done.returncode != 0:
        raise RuntimeError(f"the peer ended with {done.returncode}: {done.stderr[-1500:]}")
    return time.monotonic() - started


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 3, 300)
    parser.add_argument("--null-encoder", required=True)
    parser.add_argument("--peer", required=True)
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    null, env = frame_loop.null_media(bench, options.null_encoder)
    media, clip = reading_ffmpeg(bench), bench.clip(options.size, options.frames)
    words = ["--codec", "ffv1", "--executor", "compiled", "--ffmpeg", null]
    bench.upscale(clip, "first", *words, env=env)  # makes the artifact
    peer_seconds(options.peer, bench, media, bench.clip(options.size, 8))  # files of both are warm
    rows = []
    for _ in range(options.rounds):
        _, report = bench.upscale(clip, "loop", *words, env=env)
        row = jobs.lane_figures(report, options.frames)
        row["peer_s"] = round(peer_seconds(options.peer, bench, media, clip), 2)
        row["peer_frames_per_second"] = round(options.frames / row["peer_s"], 2)
        row["ratio"] = round(row["peer_s"] / row["command_s"], 2)
        rows.append(row)
        result = {"options": vars(options), "cores": os.cpu_count(), "rounds": rows,
                  "ratio": round(statistics.median(one["ratio"] for one in rows), 2)}
        pathlib.Path(options.out).write_text(json.dumps(result, indent=1))
        print(json.dumps(row), flush=True)
    bench.close()


if __name__ == "__main__":
    main()
