"""How one, two and more cards of a machine scale, from a job's first segment that is given out to its last that is done.

    python3 tests/bench/upscale_gpu/scale.py --bundle TAR --package DIR --out FILE.json [--null-encoder PROGRAM]
        [--cards 1,2] [--frames-per-card 12600] [--rounds 2] [--size 1280x720] [--preset ultrafast]

A coordinator and one worker for each number of cards, with cores in proportion: of --cores (those of the host) the first N/most of
them. A short job before each makes artifacts and loads the lanes. With --null-encoder frames are encoded by nobody, else by x264.
Ratios are against the fewest cards of the same run. The file is written after every round; --trace FOLDER keeps each job's trace."""

import json
import os
import pathlib
import statistics

import farms
import frame_loop
import jobs

WARM_FRAMES = 200


class Farm(farms.Farm):
    """One worker with so many cards, and its coordinator."""

    def __init__(self, bench, cards, cores, media, env):
        super().__init__(bench, f"farm-{cards}", env)
        devices = "cpu" if bench.device == "cpu" else ",".join(f"cuda:{i}" for i in range(cards))
        self.worker("worker", devices, *media, cores=range(cores))

    def timed(self, clip, codec, preset):
        """The job's status and its trace."""
        wishes = {"preset": preset} if codec == "h264" else {}
        job = self.submit([clip], self.bench.package, codec=codec, executor="compiled", **wishes)
        return self.finish(job), self.events(job)


def figures(status, events, frames):
    tasks = [event for event in events if event.get("ph") == "X"]
    segments = [event for event in tasks if " frames " in event["name"]]
    joins = [event for event in tasks if event["name"].startswith("join")]
    begin = min(event["ts"] for event in segments)
    end = max(event["ts"] + event["dur"] for event in segments)
    seconds = (end - begin) / 1e6
    lanes = {}
    for event in segments:
        lane = lanes.setdefault(f"{event['pid']}/{event['tid']}", {"segments": 0, "last_s": 0.0})
        lane["segments"] += 1
        lane["last_s"] = max(lane["last_s"], round((event["ts"] + event["dur"] - begin) / 1e6, 2))
    return {"seconds": round(seconds, 2), "frames_per_second": round(frames / seconds, 2), "lanes": lanes,
            "join_s": round(sum(event["dur"] for event in joins) / 1e6, 2),
            "shares": status.get("lanes", []), "attempts_failed": status["attempts_failed"]}


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 2, 0)
    parser.add_argument("--null-encoder")
    parser.add_argument("--cards", default="1,2")
    parser.add_argument("--frames-per-card", type=int, default=12600)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--preset", default="ultrafast")
    parser.add_argument("--trace")
    options = parser.parse_args()
    counts = [int(word) for word in options.cards.split(",")]
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    media, env = [], {}
    if options.null_encoder:
        null, env = frame_loop.null_media(bench, options.null_encoder)
        media = ["--ffmpeg", null]
    codec = "ffv1" if options.null_encoder else "h264"
    clips = {count: bench.clip(options.size, options.frames_per_card * count) for count in counts}
    warm = bench.clip(options.size, WARM_FRAMES * max(counts))
    rounds = []
    for _ in range(options.rounds):
        row = {}
        for count in counts:
            farm = Farm(bench, count, options.cores * count // max(counts), media, env)
            farm.timed(warm, codec, options.preset)
            print(f"{count} cards: warm", flush=True)
            status, events = farm.timed(clips[count], codec, options.preset)
            row[str(count)] = figures(status, events, options.frames_per_card * count)
            farm.close()
            if options.trace:
                pathlib.Path(options.trace, f"trace-{count}-{len(rounds)}.json").write_text(json.dumps(events))
        least = str(min(counts))
        for count in counts:
            row[str(count)]["of_linear"] = round(row[str(count)]["frames_per_second"] / row[least]["frames_per_second"]
                                                 * int(least) / count, 3)
        rounds.append(row)
        result = {"options": vars(options), "cores": options.cores, "rounds": rounds,
                  "of_linear": {str(count): round(statistics.median(one[str(count)]["of_linear"] for one in rounds), 3)
                                for count in counts}}
        pathlib.Path(options.out).write_text(json.dumps(result, indent=1))
        print(json.dumps(row), flush=True)
    bench.close()


if __name__ == "__main__":
    main()
