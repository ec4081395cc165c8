"""Two lanes of one machine, capped and slowed differently, share a clip: does each get what it can do, and do both end together?

    python3 tests/bench/upscale_gpu/unequal_cards.py --bundle TAR --package DIR --out FILE.json [--devices cuda:0,cuda:1] [--seconds 30]

A worker on each card (or both on one: --devices cuda:0,cuda:0), the second under a smaller cap, and its card shared with a process that
multiplies matrices half of the time. First each renders alone in its pool, for its speed; then one job on both. Promised: lengths of
segments follow the speeds (here: the frames of each, since segments get shorter towards the end), both end within one segment of each
other, and nobody is ever out of memory. With --device cpu it is a
rehearsal on cores, where the second worker has half of the first one's threads' time taken by the busy process."""

import contextlib
import json
import os
import statistics
import subprocess
import sys

import farms
import jobs

CAPS = ("4GiB", "3GiB")
NAMES = ("fast", "slow")
SHARES_WITHIN = 0.25
BUSY = """
import sys, time, torch
device, share = sys.argv[1], float(sys.argv[2])
if device == "cpu": torch.set_num_threads(1)
side = 4096 if device != "cpu" else 512
a = torch.randn(side, side, device=device, dtype=torch.float16 if device != "cpu" else torch.float32)
print("busy", flush=True)
while True:
    begun = time.monotonic()
    for _ in range(40): a @ a
    if device != "cpu": torch.cuda.synchronize()
    time.sleep((time.monotonic() - begun) * (1 - share) / share)
"""


@contextlib.contextmanager
def busy(device, cores):
    command = [sys.executable, "-c", BUSY, device, "0.5"]
    if device == "cpu":
        command = ["taskset", "-c", ",".join(map(str, cores)), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.wait()


def segments_of(farm, job):
    found = []
    for span in farm.spans(job):
        words = span["name"].split()
        if "frames" in words and span["outcome"] == "done":
            first, last = int(words[words.index("frames") + 1]), int(words[words.index("to") + 1])
            found.append({**span, "first": first, "frames": last - first + 1})
    return sorted(found, key=lambda one: one["start_s"])


def speed(segments):
    return sum(one["frames"] for one in segments) / (max(one["end_s"] for one in segments) - segments[0]["start_s"])


def settled(segments):
    """Without the first, whose length was a guess, and without the last two, which are cut for what is left."""
    return [one["frames"] for one in segments][1:-2] or [one["frames"] for one in segments]


def pair(farm, bench, options, single):
    frames = int(sum(single.values()) * options.seconds)
    keys = {"executor": "compiled", "codec": "h264", "preset": "ultrafast", "scale": options.scale}
    job = farm.submit([bench.clip(options.size, frames)], options.package, **keys)
    status = farm.finish(job)
    segments = segments_of(farm, job)
    of = {name: [one for one in segments if one["worker"] == name] for name in NAMES}
    lengths = {name: settled(of[name]) for name in NAMES}
    last = {name: max(of[name], key=lambda one: one["end_s"]) for name in NAMES}
    later = max(last.values(), key=lambda one: one["end_s"])
    apart_s = abs(last["fast"]["end_s"] - last["slow"]["end_s"])
    ratio = statistics.median(lengths["fast"]) / statistics.median(lengths["slow"])
    speeds = single["fast"] / single["slow"]
    said = {name: farm.log(name).lower() for name in NAMES}
    out = {"frames": frames, "frames_per_second": round(speed(segments), 2), "of_the_sum": round(speed(segments) / sum(single.values()), 3),
           "single": {name: round(value, 2) for name, value in single.items()},
           "share": {name: sum(one["frames"] for one in of[name]) for name in NAMES},
           "lengths": {name: [one["frames"] for one in of[name]] for name in NAMES}, "length_ratio": round(ratio, 3),
           "speed_ratio": round(speeds, 3), "ends_apart_s": round(apart_s, 2), "last_segment_s": round(later["end_s"] - later["start_s"], 2),
           "failed_tries": status["attempts_failed"], "out_of_memory": {name: "out of memory" in said[name] for name in NAMES},
           "tiles": status["clips"][0]["tiles"], "cards": [segment["card"] for segment in status["clips"][0]["segments"][:2]]}
    out["share_ratio"] = round(out["share"]["fast"] / out["share"]["slow"], 3)
    out["shares_follow"] = abs(out["share_ratio"] / speeds - 1) <= SHARES_WITHIN
    out["end_together"] = apart_s <= out["last_segment_s"]
    out["good"] = out["shares_follow"] and out["end_together"] and out["failed_tries"] == 0 and not any(out["out_of_memory"].values())
    return out


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 1, 0)
    parser.add_argument("--devices", default="cuda:0,cuda:1")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    devices = ["cpu", "cpu"] if options.device == "cpu" else options.devices.split(",")
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    result = farms.Result(options)
    farm = farms.Farm(bench, "unequal")
    half = max(1, options.cores // 2)
    cores = [range(i * half, (i + 1) * half) for i in range(2)]
    keys = {"executor": "compiled", "codec": "h264", "preset": "ultrafast", "scale": options.scale}
    with busy(devices[1], cores[1]):
        for i, name in enumerate(NAMES):
            flags = ["--lanes", 1] if devices[i] == "cpu" else ["--vram-cap", CAPS[i]]
            farm.worker(name, devices[i], "--pool", name, *flags, cores=cores[i])
        result.value["workers"] = farm.ask("workers")["workers"]  # how fast the cards are, among other things
        farm.render([bench.clip(options.size, 24)], options.package, pool="fast", **keys)  # makes the artifact
        single = {}
        guess = 48 if options.device == "cpu" else 600
        for name in NAMES:
            farm.render([bench.clip(options.size, 48)], options.package, pool=name, **keys)
            job = farm.submit([bench.clip(options.size, guess)], options.package, pool=name, **keys)
            farm.finish(job)
            single[name] = speed(segments_of(farm, job))
            print(f"{name}: {single[name]:.1f} frames a second alone", flush=True)
        for _ in range(options.rounds):
            result.add(pair(farm, bench, options, single))
    result.value["good"] = all(row["good"] for row in result.value["rows"])
    result.write()
    print(json.dumps({"good": result.value["good"]}))
    farm.close()
    bench.close()


if __name__ == "__main__":
    main()
