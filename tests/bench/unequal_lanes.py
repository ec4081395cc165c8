"""Two workers of one thread, each bound to a core, one of them held to half a core by a CPU quota: does each get the work that
it can do?

    sudo build/release/venv/bin/python tests/bench/unequal_lanes.py --package build/demo/realesr-animevideov3 \\
        --clip build/demo/clip.mp4 [--size 160x90] [--seconds 120]

First each renders a clip of its own, both at the same time: their single speeds. Then one job on both. The quota is the
kernel's (cgroup cpu.cfs_quota_us or cpu.max, 10 of every 20 ms) and holds for the worker, its lane and that lane's ffmpeg
processes together. Frames a second are those between the first assignment of a segment and the last result, as the
coordinator's journal has them; probing and joining are told apart. Prints JSON; `good` says whether segment lengths are within
20 % of 2:1, both lanes ended within one segment of each other, and the pair reached 0.95 of the sum of the single speeds."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
from pathlib import Path

import bench_farm
from bench_farm import Farm

PERIOD_US, QUOTA_US = 20_000, 10_000
SPEED_FRAMES = 64  # of the job that finds out how long the others have to be


@contextlib.contextmanager
def half_a_core():
    """Yields what a new process does to be in the group."""
    root = Path("/sys/fs/cgroup/cpu") if Path("/sys/fs/cgroup/cpu/cgroup.procs").exists() else Path("/sys/fs/cgroup")
    group = root / f"kiln-bench-{os.getpid()}"
    group.mkdir()
    try:
        if (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(QUOTA_US))
        else:
            (group / "cpu.max").write_text(f"{QUOTA_US} {PERIOD_US}")
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def repeated(source: Path, target: Path, frames: int, size: str, begin: int = 0) -> Path:
    width, height = size.split("x")
    bench_farm.ffmpeg("-stream_loop", "-1", "-i", source, "-map", "0:v:0", "-vf",
                      f"trim=start_frame={begin},setpts=PTS-STARTPTS,scale={width}:{height}", "-frames:v", frames, "-c:v",
                      "libx264", "-crf", "12", "-pix_fmt", "yuv420p", target)
    return target


def speed(segments: list[dict], until_s: float) -> float:
    """Frames a second up to the last result before `until_s`."""
    counted = [one for one in segments if one["end_s"] <= until_s]
    return sum(one["frames"] for one in counted) / (counted[-1]["end_s"] - counted[0]["start_s"])


def settled_lengths(facts: list[dict], job: str, worker: str) -> list[int]:
    """Of the segments that were cut for the lane's speed, neither at the beginning nor for what was left at the end."""
    return [fact["last"] - fact["first"] for fact in facts
            if fact["kind"] == "assigned" and fact["job"] == job and fact["worker"] == worker
            and fact["reason"].endswith("frames a second")]


class Bench:
    def __init__(self, farm: Farm, options: argparse.Namespace):
        self.farm, self.options = farm, options

    def submit(self, frames: int, pool: str, name: str, begin: int) -> str:
        source = repeated(self.options.clip, self.farm.folder / f"{name}.mp4", frames, self.options.size, begin)
        return self.farm.submit(self.options.package, [source], executor="compiled", pool=pool, title=name,
                                codec="h264", preset="ultrafast")

    def single_speeds(self) -> dict[str, float]:
        """Each on its own clip, both at once; the slow one is half as fast, and so has half as many frames."""
        warm = self.submit(SPEED_FRAMES, "fast", "warm", 0)
        self.farm.finish(warm)  # the artifact is there now
        first = speed(self.farm.segments(self._done(self.submit(SPEED_FRAMES * 2, "fast", "speed", 0))), float("inf"))
        frames = max(SPEED_FRAMES, int(first * self.options.seconds))
        fast = self.submit(frames, "fast", "fast-alone", 3)
        slow = self.submit(frames // 2, "slow", "slow-alone", 11)
        segments = {pool: self.farm.segments(self._done(job)) for pool, job in (("fast", fast), ("slow", slow))}
        both_until = min(found[-1]["end_s"] for found in segments.values())
        return {pool: speed(found, both_until) for pool, found in segments.items()}

    def _done(self, job: str) -> str:
        self.farm.finish(job, 60 + 20 * self.options.seconds)
        return job

    def run(self) -> dict:
        single = self.single_speeds()
        total = sum(single.values())
        job = self._done(self.submit(int(total * self.options.seconds), "", "pair", 7))
        segments = self.farm.segments(job)
        began, ended = segments[0]["start_s"], max(one["end_s"] for one in segments)
        last = {name: [one for one in segments if one["worker"] == name][-1] for name in ("fast", "slow")}
        later = max(last.values(), key=lambda one: one["end_s"])
        apart_s = abs(last["fast"]["end_s"] - last["slow"]["end_s"])
        facts = self.farm.facts()
        lengths = {name: settled_lengths(facts, job, name) for name in ("fast", "slow")}
        ratio = statistics.median(lengths["fast"]) / statistics.median(lengths["slow"])
        pair = sum(one["frames"] for one in segments) / (ended - began)
        status = self.farm.ask("status", job)
        out = {"frames": status["frames_total"], "pair_s": ended - began, "whole_job_s": status["ended_s"] - status["submitted_s"],
               "single_frames_per_second": single, "pair_frames_per_second": pair, "pair_to_sum": pair / total,
               "segment_lengths": lengths, "length_ratio": ratio, "ends_apart_s": apart_s,
               "last_segment_s": later["end_s"] - later["start_s"], "single_ratio": single["fast"] / single["slow"]}
        out["good"] = 1.6 <= ratio <= 2.4 and apart_s <= out["last_segment_s"] and out["pair_to_sum"] >= 0.95
        return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--size", default="160x90")
    parser.add_argument("--seconds", type=float, default=120, help="of rendering on both, and of each alone")
    parser.add_argument("--cores", type=int, nargs=2, default=[0, 1])
    options = parser.parse_args()
    with half_a_core() as enter, Farm() as farm:
        farm.start_coordinator()
        farm.start_worker("fast", "--lanes", 1, "--pool", "fast", core=options.cores[0])
        farm.start_worker("slow", "--lanes", 1, "--pool", "slow", core=options.cores[1], preexec_fn=enter)
        out = Bench(farm, options).run()
    print(json.dumps(out, indent=1))
    return 0 if out["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
