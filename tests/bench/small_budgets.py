"""Jobs of random sizes on lanes of random budgets: is a lane ever out of memory, and does every job finish or is refused
before it starts?

    build/release/venv/bin/python tests/bench/small_budgets.py [--jobs 100] [--seed 1]

Two workers of one lane each, with a --memory-cap of their own that changes every --jobs-per-farm jobs. A job that is refused
has failed with the reason that no lane holds it, and none of its segments was ever assigned. Where one lane is left out of a
job that another one renders, `kiln explain` has to say why while the job is at work. Prints JSON."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import bench_farm
import fixtures
import processes
from bench_farm import Farm

WORKERS = ("a", "b")
CAP_KIB = (1, 8_192)  # from what holds no tile of the network to what holds a whole frame of most sizes
SIDE = (32, 720)
FRAMES = (2, 6)
MIB = 1 << 20
JOB_DEADLINE_S = 240
LOOK_S = 0.1
REFUSED = "no lane holds it"


def log_uniform(chance: random.Random, bounds: tuple[int, int]) -> int:
    low, high = bounds
    return int(low * (high / low) ** chance.random())


def make_clip(path: Path, width: int, height: int, frames: int) -> Path:
    bench_farm.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r=25", "-frames:v", frames, "-pix_fmt", "yuv420p",
                      "-c:v", "ffv1", path)
    return path


class Budgets:
    def __init__(self, chance: random.Random):
        self.chance = chance
        self.done = self.refused = self.left_out = self.both = self.frames = 0
        self.faults: list[str] = []
        self.failures: dict[str, float] = {}

    def run_farm(self, jobs: int, caps_kib: tuple[int, ...] | None = None) -> None:
        with Farm() as farm:
            farm.start_coordinator()
            given = caps_kib or [log_uniform(self.chance, CAP_KIB) for _ in WORKERS]
            caps = {name: cap * 1024 for name, cap in zip(WORKERS, given, strict=True)}
            workers = {name: farm.start_worker(name, "--lanes", 1, "--memory-cap", cap) for name, cap in caps.items()}
            lanes = {name: processes.wait_for("a lane", lambda p=process: processes.named(p.pid, "kiln-lane", "--channel"))[0]
                     for name, process in workers.items()}
            for number in range(jobs):
                self.run_job(farm, number, caps)
            for name, lane in lanes.items():
                if not lane.alive():
                    self.faults.append(f"the lane of {name} did not survive")
            self.count_failures(farm)

    def run_job(self, farm: Farm, number: int, caps: dict[str, int]) -> None:
        width, height = (log_uniform(self.chance, SIDE) // 2 * 2 for _ in range(2))
        frames = self.chance.randint(*FRAMES)
        clip = make_clip(farm.folder / f"clip-{number}.mkv", width, height, frames)
        what = f"{width}x{height} with caps of {', '.join(f'{cap / MIB:.2f} MiB' for cap in caps.values())}"
        job = farm.submit(fixtures.package("double"), [clip], executor="uncompiled", codec="ffv1", segment_frames=1)
        said = self.explain_until_it_ends(farm, job)
        status = farm.watch(job, JOB_DEADLINE_S)
        segments = farm.segments(job)
        if status["state"] == "done":
            self.done += 1
            self.frames += status["frames_done"]
            if status["attempts_failed"] or status["frames_done"] != frames:
                self.faults.append(f"{what}: {status['attempts_failed']} failed attempts")
            self.look_at_left_out(what, said)
        elif status["state"] == "failed" and REFUSED in status["reason"] and not segments:
            self.refused += 1
        else:
            self.faults.append(f"{what}: {status['state']}, {status['reason']}, {len(segments)} segments")

    def explain_until_it_ends(self, farm: Farm, job: str) -> list[str]:
        """The last explanation that was given while segments were at work."""
        said: list[str] = []
        until = time.monotonic() + JOB_DEADLINE_S
        while time.monotonic() < until:
            lines = farm.ask("explain", job)["lines"]
            if farm.ask("status", job)["state"] in ("done", "failed", "cancelled"):
                break
            if any(line.startswith("task ") for line in lines):
                said = lines
            time.sleep(LOOK_S)
        return said

    def look_at_left_out(self, what: str, said: list[str]) -> None:
        """Of each lane: it works, is idle, or is left out, with what it holds and what is needed."""
        if not said:
            return  # done before anybody could ask
        for name in WORKERS:
            lines = [line for line in said if line.startswith(f"{name} lane 0: ")]
            if not lines:
                self.faults.append(f"{what}: nothing is said of {name}: {said}")
            elif "MiB" in lines[0]:
                self.left_out += 1
        if not any("MiB" in line for line in said):
            self.both += 1

    def count_failures(self, farm: Farm) -> None:
        time.sleep(0.6)  # metrics are renewed twice a second
        for name, value in farm.metrics().items():
            if name.startswith("kiln_failures_total"):
                kind = name.split('"')[1]
                self.failures[kind] = self.failures.get(kind, 0) + value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--jobs-per-farm", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    budgets = Budgets(random.Random(options.seed))
    for begin in range(0, options.jobs, options.jobs_per_farm):
        budgets.run_farm(min(options.jobs_per_farm, options.jobs - begin))
        print(f"{begin + options.jobs_per_farm} jobs: {budgets.done} done, {budgets.refused} refused", file=sys.stderr, flush=True)
    good = not budgets.faults and sum(budgets.failures.values()) == 0
    print(json.dumps({"seed": options.seed, "jobs": options.jobs, "done": budgets.done, "refused": budgets.refused,
                      "lanes_left_out": budgets.left_out, "both_lanes": budgets.both, "frames": budgets.frames,
                      "failures": budgets.failures, "faults": budgets.faults, "good": good}, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
