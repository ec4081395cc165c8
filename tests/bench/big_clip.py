"""A lane that renders a twentieth of a clip of a gigabyte: how much of it is fetched?

    build/release/venv/bin/python tests/bench/big_clip.py [--bytes 1000000000] [--containers mp4 mkv] [--after 4]

One worker probes the clip and renders the first segments, of a twentieth each; then it is killed. Another one, whose cache is
empty and whose only way to the clip is the store, renders one segment, and nothing more is handed out. What the store sent
meanwhile (its own count of bytes: clip, package, description of the clip) is set against the clip's size. Clips are noise in H.264
at a high rate. Prints JSON; at most a tenth is promised."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import bench_farm
import fixtures
from bench_farm import Farm, wait_until

SEGMENTS = 20
ONCE_FRAMES = 50  # that are encoded; the clip is they again and again
SHARE_MAX = 0.1
SENT = "kiln_http_sent_bytes_total"
DEADLINE_S = 900


def make_clip(folder: Path, container: str, size: int) -> tuple[Path, int]:
    """A clip of about that many bytes, and its frames."""
    once, clip = folder / f"once.{container}", folder / f"big.{container}"
    bench_farm.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25,noise=alls=100:allf=t", "-frames:v", ONCE_FRAMES, "-c:v",
                      "libx264", "-preset", "ultrafast", "-qp", 2, "-g", 25, "-bf", 0, "-pix_fmt", "yuv420p", once)
    repeats = size // once.stat().st_size
    bench_farm.ffmpeg("-stream_loop", repeats, "-i", once, "-c", "copy", clip)
    once.unlink()
    return clip, ONCE_FRAMES * (repeats + 1)


class BigClip:
    def __init__(self, farm: Farm, options: argparse.Namespace):
        self.farm, self.options = farm, options

    def segments_done(self, job: str) -> int:
        return len(self.farm.ask("status", job)["clips"][0]["segments"])

    def run(self, container: str) -> dict:
        farm = self.farm
        clip, frames = make_clip(farm.folder, container, self.options.bytes)
        farm.start_coordinator()
        first = farm.start_worker("first", "--lanes", 1)
        length = -(-frames // SEGMENTS)
        job = farm.submit(fixtures.package("double"), [clip], executor="uncompiled", codec="h264", preset="ultrafast",
                          segment_frames=length)
        wait_until("the first segments", lambda: self.segments_done(job) >= self.options.after, DEADLINE_S)
        farm.ask("pause", job)
        first.kill()
        first.wait()
        wait_until("nothing to be at work", lambda: farm.ask("status", job)["running_tasks"] == [], DEADLINE_S)
        done = self.segments_done(job)
        before = farm.metrics(farm.notice()["store"])[SENT]
        farm.start_worker("second", "--lanes", 1)
        farm.ask("resume", job)
        wait_until("a segment to be at work", lambda: farm.ask("status", job)["running_tasks"] != [], DEADLINE_S)
        farm.ask("pause", job)
        wait_until("it to be done", lambda: farm.ask("status", job)["running_tasks"] == [], DEADLINE_S)
        fetched = farm.metrics(farm.notice()["store"])[SENT] - before
        by_second = [one for one in farm.segments(job) if one["worker"] == "second"]
        if len(by_second) != 1 or self.segments_done(job) != done + 1:
            raise SystemExit(f"not one segment but {len(by_second)} was rendered; run it again")
        size = clip.stat().st_size
        farm.ask("cancel", job)
        return {"container": container, "clip_bytes": size, "frames": frames, "rendered_frames": by_second[0]["frames"],
                "rendered_share": by_second[0]["frames"] / frames, "fetched_bytes": int(fetched), "fetched_share": fetched / size}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--containers", nargs="+", default=["mp4", "mkv"])
    parser.add_argument("--after", type=int, default=4, help="segments that are done before")
    options = parser.parse_args()
    if shutil.disk_usage(fixtures.BINARY).free < 5 * options.bytes:
        raise SystemExit(f"{fixtures.BINARY}: five times the clip has to be free")
    found = []
    for container in options.containers:
        with Farm() as farm:
            found.append(BigClip(farm, options).run(container))
        print(f"{container}: {found[-1]['fetched_share']:.1%} fetched", file=sys.stderr, flush=True)
    good = all(one["fetched_share"] <= SHARE_MAX for one in found)
    print(json.dumps({"clips": found, "good": good}, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
