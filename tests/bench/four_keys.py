"""Four artifacts that nobody has: one worker bound to one core against two of them, on the same machine in turn.

    build/release/venv/bin/python tests/bench/four_keys.py [--package DIR] [--rounds 1] [--cold-children]

A job of four clips of different sizes, and so of four tile shapes and keys, with executor = "compiled" and an empty store. Each
farm is a new one. A worker's compile child imports torch and Inductor once, and makes precompiled headers in a new state folder:
before the clock starts each worker has compiled one other key, unless --cold-children is given. Prints JSON: seconds from the
submission to the end of the job and to the last artifact, compiles of each key (exactly one), and the ratio of two workers to
one (at most 0.6)."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from pathlib import Path

import bench_farm
import fixtures
from bench_farm import Farm

SIZES = ("64x36", "80x46", "96x54", "112x64")
WARM_SIZES = ("48x28", "56x32")
FRAMES = 4
COMPILE = 2  # TASK_KIND_COMPILE
JOB_DEADLINE_S = 900


def clips_of(farm: Farm, sizes: tuple[str, ...]) -> list[Path]:
    out = []
    for size in sizes:
        out.append(farm.folder / f"clip-{size}.mkv")
        bench_farm.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25", "-frames:v", FRAMES, "-pix_fmt", "yuv420p",
                          "-c:v", "ffv1", out[-1])
    return out


def compiles_of(facts: list[dict], job: str) -> tuple[list[int], float]:
    """How often each task that the job wanted was done, a key having one; and when the last one was."""
    wanted = [fact["task"] for fact in facts if fact["kind"] == "compile_wanted" and fact["job"] == job]
    found = [fact for fact in facts if fact["kind"] == "result_accepted" and fact["task"] in wanted]
    counted = Counter(fact["task"] for fact in found)
    return [counted[task] for task in wanted], max(fact["at_s"] for fact in found)


def compile_all(options: argparse.Namespace, cores: list[int]) -> dict:
    with Farm() as farm:
        farm.start_coordinator()
        for core in cores:
            farm.start_worker(f"w{core}", "--lanes", 1, core=core)
        if not options.cold_children:
            warm = farm.submit(options.package, clips_of(farm, WARM_SIZES[: len(cores)]), executor="compiled", codec="ffv1")
            farm.finish(warm, JOB_DEADLINE_S)
            warmed = {fact["worker"] for fact in farm.facts() if fact["kind"] == "assigned" and fact["task_kind"] == COMPILE}
            if len(warmed) != len(cores):
                raise SystemExit(f"only {', '.join(warmed)} compiled before the clock started; run it again")
        job = farm.submit(options.package, clips_of(farm, SIZES), executor="compiled", codec="ffv1")
        status = farm.finish(job, JOB_DEADLINE_S)
        facts = farm.facts()
        compiles, last_s = compiles_of(facts, job)
        keys = {clip["artifact_key"] for clip in status["clips"]}
        by = Counter(fact["worker"] for fact in facts
                     if fact["kind"] == "assigned" and fact["job"] == job and fact["task_kind"] == COMPILE)
        return {"workers": len(cores), "job_s": status["ended_s"] - status["submitted_s"],
                "artifacts_s": last_s - status["submitted_s"], "compile_s": status["compile_s"],
                "keys": len(keys), "compiles": compiles, "compiles_by_worker": dict(by)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="default: the tiny network of the tests")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cores", type=int, nargs=2, default=[0, 1])
    parser.add_argument("--cold-children", action="store_true")
    options = parser.parse_args()
    options.package = options.package or fixtures.package("double")
    rounds = []
    for _ in range(options.rounds):
        one, two = compile_all(options, options.cores[:1]), compile_all(options, options.cores)
        rounds.append({"one": one, "two": two, "ratio": two["job_s"] / one["job_s"],
                       "artifacts_ratio": two["artifacts_s"] / one["artifacts_s"]})
        print(f"{one['job_s']:.1f} s with one worker, {two['job_s']:.1f} s with two", file=sys.stderr, flush=True)
    once = all(found[side]["compiles"] == [1] * len(SIZES) and found[side]["keys"] == len(SIZES)
               for found in rounds for side in ("one", "two"))
    ratio = statistics.median(found["ratio"] for found in rounds)
    print(json.dumps({"rounds": rounds, "each_compiled_once": once, "median_ratio": ratio, "good": once and ratio <= 0.6},
                     indent=1))
    return 0 if once and ratio <= 0.6 else 1


if __name__ == "__main__":
    sys.exit(main())
