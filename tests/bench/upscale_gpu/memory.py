"""What a lane was expected to hold on its card against what it held, for sizes and tilings, each in a lane of its own.

    python3 tests/bench/upscale_gpu/memory.py --bundle TAR --package DIR [--second DIR] --out FILE.json [--device cuda:0]

Measured: the card's memory in use by NVML, looked at every 5 ms, less what was in use before the worker was started; the card must be nobody
else's. Beside it what LibTorch's allocator had at its peak, and the prediction with its parts, as the lane reports them. Artifacts and
kernels are made before by another worker: a compile child is on no card while a row is measured. Promised: within 5 %, never
below by more than 1 %. With --device cpu it is a rehearsal: there is no card to predict."""

import json

import farms
import jobs

FRAMES = 96
MIB = 1 << 20
# name, size, keys of the job, what tiles are planned for (MiB, 0: what the lane has), flags of the worker
ROWS = [
    ("compiled 320x180", "320x180", {}, 0, []),
    ("compiled 640x360", "640x360", {}, 0, []),
    ("compiled 1280x720", "1280x720", {}, 0, []),
    ("compiled 1920x1080", "1920x1080", {}, 0, []),
    ("compiled 1920x1080 in tiles", "1920x1080", {}, 700, []),
    ("compiled 1280x720 float32", "1280x720", {"precision": "float32"}, 0, []),
    ("compiled 1280x720 to 2", "1280x720", {"scale": "2"}, 0, []),
    ("uncompiled 1280x720", "1280x720", {"executor": "uncompiled"}, 0, []),
    ("uncompiled 1920x1080 to 2", "1920x1080", {"executor": "uncompiled", "scale": "2"}, 0, []),
    ("uncompiled 1280x720, 2 GiB", "1280x720", {"executor": "uncompiled"}, 0, ["--vram-cap", "2GiB"]),
    ("uncompiled 1920x1080, 2 GiB", "1920x1080", {"executor": "uncompiled"}, 0, ["--vram-cap", "2GiB"]),
    ("uncompiled 3840x2160 to 2, 4 GiB", "3840x2160", {"executor": "uncompiled", "scale": "2"}, 0, ["--vram-cap", "4GiB"]),
    ("uncompiled 3840x2160 to 2, 2 GiB", "3840x2160", {"executor": "uncompiled", "scale": "2"}, 0, ["--vram-cap", "2GiB"]),
]
SECOND = [
    ("second, uncompiled 320x180", "320x180", {"executor": "uncompiled"}, 0, []),
    ("second, uncompiled 640x360", "640x360", {"executor": "uncompiled"}, 0, []),
]


def keys_of(keys):
    return {"executor": "compiled", "codec": "h264", "preset": "ultrafast", **keys}


def measured(bench, farm, use, row, package, options):
    name, size, keys, variant_mib, flags = row
    clip = bench.clip(size, options.frames)
    before = use.settled() if use else 0
    worker = farm.worker("alone", options.device, *flags)
    if use:
        use.begin()  # behind what measures a card when a worker meets it for the first time
    try:
        status = farm.render([clip], package, variant_mib=variant_mib, **keys_of(keys))
        peak = use.peak() if use else 0
    finally:
        farm.stop(worker)
    clip = status["clips"][0]
    cards = [segment["card"] for segment in clip["segments"] if segment["card"]]
    out = {"row": name, "tiles": clip["tiles"], "tile": f"{clip['tile_width']}x{clip['tile_height']}",
           "compiled": sum(segment["frames_compiled"] for segment in clip["segments"]), "failed_tries": status["attempts_failed"],
           "before_mib": round(before / MIB, 1), "device_peak_mib": round((peak - before) / MIB, 1)}
    if status["attempts_failed"]:
        out["log"] = farm.log("alone")[-3000:]
    if not cards:
        return {**out, "prediction": "none: no card"}
    last = max(cards, key=lambda card: card["predicted_bytes"])
    most = {key: max(card[key] for card in cards) for key in last}
    out.update({key.replace("_bytes", "_mib"): round(value / MIB, 1) for key, value in {**most, "context_bytes": last["context_bytes"]}.items()})
    out["outside_allocator_mib"] = round((peak - before - most["reserved_peak_bytes"]) / MIB, 1)
    out["predicted_to_measured"] = round(last["predicted_bytes"] / (peak - before), 4)
    out["good"] = 0.99 <= out["predicted_to_measured"] <= 1.05
    return out


def make_artifacts(bench, farm, rows, package, options):
    """On one worker, one after the other: its child stays warm."""
    worker = farm.worker("maker", options.device)
    for name, size, keys, variant_mib, flags in rows:
        if keys_of(keys)["executor"] != "compiled":
            continue
        farm.render([bench.clip(size, min(4, options.frames))], package, variant_mib=variant_mib, **keys_of(keys))
        print(f"made: {name}", flush=True)
    log = farm.log("maker")
    farm.stop(worker)
    return "are in the store" in log


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 1, FRAMES)
    parser.add_argument("--second", help="a second package: uncompiled")
    parser.add_argument("--rows", default="", help="only those whose name has one of these in it, split by commas")
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    wanted = [word for word in options.rows.split(",") if word]
    chosen = [row for row in ROWS if not wanted or any(word in row[0] for word in wanted)]
    use = None if options.device == "cpu" else farms.CardUse(int(options.device.rpartition(":")[2]))
    farm = farms.Farm(bench, "memory")
    result = farms.Result(options)
    result.value["kernels_are_in_the_store"] = make_artifacts(bench, farm, chosen, options.package, options)
    second = [row for row in SECOND if options.second and (not wanted or any(word in row[0] for word in wanted))]
    for row, package in [*((row, options.package) for row in chosen), *((row, options.second) for row in second)]:
        try:
            result.add(measured(bench, farm, use, row, package, options))
        except (RuntimeError, OSError) as error:  # the others are worth having
            result.add({"row": row[0], "error": repr(error)[:600]})
    result.value["workers"] = farm.ask("workers")["workers"]
    rows = [row for row in result.value["rows"] if "good" in row]
    result.value["good"] = bool(rows) and all(row["good"] for row in rows)
    result.write()
    print(json.dumps({"good": result.value["good"], "rows": len(rows)}))
    farm.close()
    bench.close()


if __name__ == "__main__":
    main()
