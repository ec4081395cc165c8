"""Four artifacts that nobody has, on one card with half of the cores against two cards of the same host with all of them.

    python3 tests/bench/upscale_gpu/four_keys_cards.py --bundle TAR --package DIR --out FILE.json [--device cuda] [--rounds 1]

A job of four clips of different sizes, so of four tile shapes and keys, with executor = "compiled", an empty store for each number of
cards, and a worker for each card, whose compile child is warm: each has compiled one other key before. Promised: two take at most 0.6 of
one's time, and each key is compiled once. With --device cpu it is a rehearsal on cores."""

import json
import os
import statistics
import time

import farms
import jobs

SIZES = ("640x360", "704x396", "768x432", "832x468")
WARM_SIZES = ("320x180", "384x216", "448x252", "512x288", "576x324", "256x144")
CPU_SIZES = ("64x36", "80x46", "96x54", "112x64")
CPU_WARM_SIZES = ("48x28", "56x32", "60x34", "68x38", "72x40", "76x44")
FRAMES = 8


def compiles(spans):
    """Keys that were compiled, with the worker of each try that made one."""
    return [(one["name"].split()[1], one["worker"], one["end_s"]) for one in spans
            if one["name"].startswith("compile ") and one["outcome"] == "done"]


def warm_up(farm, bench, names, options, sizes):
    """A key for each worker at once, until each has compiled one: whose turn a key is, is the coordinator's to say."""
    warm = set()
    while len(sizes) >= len(names) and warm != set(names):
        clips = [bench.clip(sizes.pop(0), 4) for _ in names]
        job = farm.submit(clips, options.package, executor="compiled", codec="ffv1")
        farm.finish(job)
        warm |= {worker for _, worker, _ in compiles(farm.spans(job))}
    if warm != set(names):
        raise RuntimeError(f"only {sorted(warm)} compiled before the clock started")


def compile_all(bench, options, cards, number):
    farm = farms.Farm(bench, f"keys-{cards}-{number}")
    half = max(1, options.cores // 2)
    cpu = options.device == "cpu"
    names = [f"card{i}" for i in range(cards)]
    for i, name in enumerate(names):
        farm.worker(name, "cpu" if cpu else f"cuda:{i}", *(["--lanes", 1] if cpu else []), cores=range(i * half, (i + 1) * half))
    warm_up(farm, bench, names, options, list(CPU_WARM_SIZES if cpu else WARM_SIZES))
    clips = [bench.clip(size, FRAMES) for size in (CPU_SIZES if cpu else SIZES)]
    started = time.time()
    job = farm.submit(clips, options.package, executor="compiled", codec="ffv1")
    status = farm.finish(job)
    made = compiles(farm.spans(job))
    out = {"cards": cards, "cores": half * cards, "job_s": round(status["ended_s"] - status["submitted_s"], 2),
           "artifacts_s": round(max(end for _, _, end in made) - started, 2), "compile_s": round(status["compile_s"], 2),
           "keys": len({key for key, _, _ in made}), "compiles": len(made),
           "by": {name: sum(worker == name for _, worker, _ in made) for name in names},
           "compiles_failed": status["compile_failures"]}
    farm.close()
    return out


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 1, FRAMES)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.set_defaults(device="cuda")
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    result = farms.Result(options)
    for number in range(options.rounds):
        one = compile_all(bench, options, 1, number)
        print(json.dumps(one), flush=True)
        two = compile_all(bench, options, 2, number)
        once = all(side["keys"] == side["compiles"] == len(SIZES) for side in (one, two))
        result.add({"one": one, "two": two, "each_compiled_once": once, "ratio": round(two["job_s"] / one["job_s"], 3),
                    "artifacts_ratio": round(two["artifacts_s"] / one["artifacts_s"], 3)})
    rows = result.value["rows"]
    result.value["median_ratio"] = statistics.median(row["ratio"] for row in rows)
    result.value["good"] = result.value["median_ratio"] <= 0.6 and all(row["each_compiled_once"] for row in rows)
    result.write()
    print(json.dumps({"good": result.value["good"], "median_ratio": result.value["median_ratio"]}))
    bench.close()


if __name__ == "__main__":
    main()
