"""From a lane's start to the first frame that it gives to an encoder, with an empty store and without any state of Kiln's.

    python3 tests/bench/upscale_gpu/cold_start.py --bundle TAR --package DIR --out FILE.json [--device cuda:0] [--rounds 3] [--size 1280x720]

The job waits when the worker is started: the lane has nothing to wait for but itself, its probe, its package and its kernels. The first
round reads everything from disk and is told apart; those behind it find it in the page cache. Every round has a new state folder. Said
by the lane, whose process's start is its beginning; beside it what the clock here sees of the worker. Promised: at most 5 s."""

import json
import time

import farms
import jobs


def one_round(bench, options, number):
    farm = farms.Farm(bench, f"cold-{number}")
    clip = bench.clip(options.size, options.frames)
    job = farm.submit([clip], options.package, executor="any", codec="h264", preset="ultrafast")
    started = time.monotonic()
    clock = time.time()
    farm.worker_without_waiting("cold", options.device)
    status = farm.finish(job)
    segments = status["clips"][0]["segments"]
    spans = sorted(farm.spans(job), key=lambda one: one["start_s"])
    first = [one for one in spans if " frames " in one["name"]]
    row = {"round": number, "page_cache": "cold or unknown" if number == 0 else "warm",
           "lane_to_first_frame_s": round(min(one["first_frame_s"] for one in segments), 3),
           "job_s": round(time.monotonic() - started, 2),
           "worker_to_probe_s": round(spans[0]["start_s"] - clock, 2), "probe_s": round(spans[0]["end_s"] - spans[0]["start_s"], 2),
           "worker_to_first_segment_s": round(first[0]["start_s"] - clock, 2),
           "first_segment_s": round(first[0]["end_s"] - first[0]["start_s"], 2),
           "frames_compiled": sum(one["frames_compiled"] for one in segments), "frames": status["frames_done"]}
    row["good"] = row["lane_to_first_frame_s"] <= 5.0
    row["speed"] = (farm.ask("workers")["workers"][0]["lanes"][0]["card"] or {}).get("speed")
    farm.close()
    return row


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 3, 400)
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    result = farms.Result(options)
    for number in range(options.rounds):
        result.add(one_round(bench, options, number))
    warm = [row for row in result.value["rows"] if row["page_cache"] == "warm"]
    result.value["good"] = bool(warm) and all(row["good"] for row in warm)
    result.write()
    print(json.dumps({"good": result.value["good"]}))
    bench.close()


if __name__ == "__main__":
    main()
