"""Compile children of cards: does each card's compile, side by side, and do lane and child of a capped card stay below the cap together?

    python3 tests/bench/upscale_gpu/compile_cards.py --bundle TAR --package DIR --out FILE.json [--cards 2] [--device cuda:0] [--cap 2GiB]

Row `sides`, with --cards 2 or more: one worker on all cards, an empty store, and a job of twice as many clips of different sizes as there are cards,
each to be rendered compiled. Good: every card's child made artifacts, no key twice, and as many at the same time as there are cards.

Rows `capped …`: a worker under --vram-cap on one card, an empty store, and one job; the card's memory in use by NVML, looked at every 5 ms, less what
was in use before the worker was started; the card must be nobody else's. Frames are rendered uncompiled first where the executor is `any`, so
that the compile comes while the lane works. Good: never more than the cap, the artifact was made, nothing failed. Beside it: how many
compiles took turns with their lane, how long they waited, and what the child said that it took. With --device cpu it is a rehearsal: there
is no card to look at, and nothing takes turns."""

import json
import re
import urllib.request

import farms
import jobs

FRAMES = 96
MIB = 1 << 20
SIZES = ("640x360", "704x396", "768x432", "832x468", "896x504", "960x540", "1024x576", "1088x612")
CPU_SIZES = ("64x36", "80x46", "96x54", "112x64")
# name, size, keys of the job
ROWS = [
    ("capped, 640x360, compiled", "640x360", {"executor": "compiled"}),
    ("capped, 640x360, any", "640x360", {"executor": "any"}),
    ("capped, 1920x1080, any", "1920x1080", {"executor": "any"}),
    ("capped, 3840x2160 to 2, any", "3840x2160", {"executor": "any", "scale": "2"}),
]
CPU_ROWS = [("capped, 64x36, compiled", "64x36", {"executor": "compiled"}), ("capped, 64x36, any", "64x36", {"executor": "any"})]
UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}


def metrics_of(farm, name):
    address = re.search(r"metrics at (http://[^\s]+)", farm.log(name))
    if not address:
        return {}
    with urllib.request.urlopen(address[1], timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {key: float(value) for key, value in values.items() if "compile_turns" in key or "card_bytes" in key or "held_back" in key}


def said(farm, name):
    return [line.split("] ")[-1] for line in farm.log(name).splitlines()
            if "took of its card" in line or "waits: a compile" in line or "not counted" in line]


def compile_spans(farm, job):
    return [one for one in farm.spans(job) if one["name"].startswith("compile ") and one["outcome"] == "done"]


def most_at_once(spans):
    ends = sorted([(one["start_s"], 1) for one in spans] + [(one["end_s"], -1) for one in spans])
    most = now = 0
    for _, change in ends:
        now += change
        most = max(most, now)
    return most


def sides(bench, options):
    cpu = options.device == "cpu"
    farm = farms.Farm(bench, "sides")
    worker = farm.worker("both", "cpu" if cpu else ",".join(f"cuda:{i}" for i in range(options.cards)), "--http", "127.0.0.1:0")
    sizes = (CPU_SIZES if cpu else SIZES)[:2 * options.cards]
    job = farm.submit([bench.clip(size, 8) for size in sizes], options.package, executor="compiled", codec="ffv1")
    status = farm.finish(job)
    spans = compile_spans(farm, job)
    places = {str(place): sum(one["lane"] == place for one in spans) for place in sorted({one["lane"] for one in spans}, reverse=True)}
    row = {"row": "sides", "cards": options.cards, "job_s": round(status["ended_s"] - status["submitted_s"], 2), "compiles": len(spans),
           "keys": len({one["name"] for one in spans}), "by_place": places, "most_at_once": most_at_once(spans),
           "compile_s": [round(one["end_s"] - one["start_s"], 2) for one in spans], "said": said(farm, "both"),
           "metrics": metrics_of(farm, "both"), "failed_tries": status["attempts_failed"]}
    row["good"] = cpu or (len(places) == options.cards and row["keys"] == row["compiles"] == len(sizes)
                          and row["most_at_once"] == options.cards and row["failed_tries"] == 0)
    farm.stop(worker)
    farm.close()
    return row


def bytes_of(text):
    return int(text[:-3]) * UNITS[text[-3:]]


def capped(bench, use, options, number, row):
    name, size, keys = row
    clip = bench.clip(size, options.frames)
    farm = farms.Farm(bench, f"capped-{number}")
    before = use.settled() if use else 0
    worker = farm.worker("alone", options.device, "--vram-cap", options.cap, "--http", "127.0.0.1:0")
    if use:
        use.begin()  # behind what measures a card when a worker meets it for the first time
    try:
        job = farm.submit([clip], options.package, codec="h264", preset="ultrafast", **keys)
        status = farm.finish(job)
        metrics = metrics_of(farm, "alone")
    finally:
        peak = use.peak() if use else 0
        farm.stop(worker)
    spans = compile_spans(farm, job)
    segments = status["clips"][0]["segments"]
    out = {"row": name, "cap_mib": bytes_of(options.cap) // MIB, "before_mib": round(before / MIB, 1),
           "peak_mib": round((peak - before) / MIB, 1), "samples": use.samples if use else 0,
           "slowest_sample_s": round(use.slowest_s, 4) if use else 0, "job_s": round(status["ended_s"] - status["submitted_s"], 2),
           "compiles": len(spans), "compile_s": [round(one["end_s"] - one["start_s"], 2) for one in spans],
           "segments": len(segments), "frames_compiled": sum(one["frames_compiled"] for one in segments),
           "tile": f"{status['clips'][0]['tile_width']}x{status['clips'][0]['tile_height']}", "failed_tries": status["attempts_failed"],
           "lost_lanes": status["lanes_lost"], "compile_failures": status["compile_failures"], "said": said(farm, "alone"), "metrics": metrics}
    out["good"] = (not use or peak - before <= bytes_of(options.cap)) and len(spans) == 1 and out["failed_tries"] == 0
    farm.close()
    return out


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 1, FRAMES)
    parser.add_argument("--cards", type=int, default=1)
    parser.add_argument("--cap", default="2GiB")
    parser.add_argument("--rows", default="", help="only those whose name has one of these in it, split by semicolons")
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    use = None if options.device == "cpu" else farms.CardUse(int(options.device.rpartition(":")[2]))
    result = farms.Result(options)
    wanted = [word for word in options.rows.split(";") if word]
    todo = [("sides", lambda: sides(bench, options))] if options.cards > 1 else []
    for number, row in enumerate(CPU_ROWS if options.device == "cpu" else ROWS):
        todo.append((row[0], lambda number=number, row=row: capped(bench, use, options, number, row)))
    for name, measure in todo:
        if wanted and not any(word in name for word in wanted):
            continue
        try:
            result.add(measure())
        except (RuntimeError, OSError) as error:  # the others are worth having
            result.add({"row": name, "error": repr(error)[:800], "good": False})
    result.value["good"] = all(row["good"] for row in result.value["rows"])
    result.write()
    print(json.dumps({"good": result.value["good"], "rows": len(result.value["rows"])}))
    bench.close()


if __name__ == "__main__":
    main()
