"""How long `kiln status` takes, from exec to exit, while every core renders.

    build/release/venv/bin/python tests/bench/status_latency.py [--calls 400] [--package DIR]

A worker with a lane for each core renders a long job; then the command is run again and again, one call after another, in turn
with `true` (what starting any process costs under that load: the floor) and with `kiln --version` (the program without a farm).
Prints JSON in milliseconds; p50 of at most 20 and p99 of at most 100 are promised."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

import bench_farm
import fixtures
import processes
from bench_farm import Farm, wait_until

P50_MAX_MS, P99_MAX_MS = 20, 100
CLIP_FRAMES = 3000
SIZE = "640x360"


def milliseconds(command: list[str]) -> float:
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, fixtures.environment(), file_actions=quiet)
    _, status = os.waitpid(pid, 0)
    taken = (time.perf_counter() - started) * 1000
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return taken


def percentiles(taken: list[float]) -> dict[str, float]:
    ordered = sorted(taken)

    def at(part: float) -> float:
        return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": ordered[-1]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--package", type=Path, help="default: the tiny network of the tests")
    parser.add_argument("--lane-nice", type=int, default=0, help="what it would be like if lanes stood back that much")
    options = parser.parse_args()
    lanes = os.cpu_count()
    with Farm() as farm:
        clip = farm.folder / "clip.mp4"
        bench_farm.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={SIZE}:r=25", "-frames:v", CLIP_FRAMES, "-c:v", "libx264",
                          "-preset", "ultrafast", "-pix_fmt", "yuv420p", clip)
        farm.start_coordinator()
        worker = farm.start_worker("w", "--lanes", lanes)
        job = farm.submit(options.package or fixtures.package("double"), [clip], executor="uncompiled", codec="h264",
                          preset="ultrafast")
        wait_until("every lane to render", lambda: farm.ask("status", job)["frames_done"] > 0
                   and len(farm.ask("status", job)["running_tasks"]) == lanes, 120)
        for child in processes.descendants(worker.pid) if options.lane_nice else []:
            os.setpriority(os.PRIO_PROCESS, child.pid, options.lane_nice)
        kiln = str(fixtures.KILN)
        commands = {"kiln status": [kiln, "status", "--state", str(farm.state)],
                    "kiln status JOB": [kiln, "status", job, "--state", str(farm.state)],
                    "kiln --version": [kiln, "--version"], "true": ["true"]}
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.calls):
            for name, command in commands.items():
                taken[name].append(milliseconds(command))
        status = farm.ask("status", job)
        if len(status["running_tasks"]) != lanes:
            raise SystemExit("the job was done, or lanes were idle, before the last call: take a longer one")
        farm.ask("cancel", job)
    found = {name: percentiles(values) for name, values in taken.items()}
    status = found["kiln status"]
    good = status["p50"] <= P50_MAX_MS and status["p99"] <= P99_MAX_MS
    print(json.dumps({"lanes": lanes, "lane_nice": options.lane_nice, "calls": options.calls, "ms": found, "good": good}, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
