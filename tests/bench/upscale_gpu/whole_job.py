"""A whole job on a card, warm, against the same encoder alone with the same processes, interleaved; and where the time goes.

"phases" (until the first segment was given out, until the last was stored, until it was joined, until it was in its place) and "behind_the_loop_s":

    python3 tests/bench/upscale_gpu/whole_job.py --bundle TAR --package DIR --out FILE.json [--device cuda:0] [--rounds 3]
        [--frames 1200] [--size 1280x720] [--preset ultrafast] [--scale 4] [--segment-target-ms 10000]

"Alone": the frames of the job's own output, as raw planes in memory, into as many encoder processes as the lane has, with the
same threads and settings, reading ahead as those do. The file is written after every round, and rounds that it holds already are not run again."""

import json
import os
import pathlib
import statistics
import subprocess
import time

import jobs

FIRST_FRAMES = 48
RAW_FRAMES = 96  # that the encoders get again and again: what fits in memory


def encoders_alone(bench, output, options):
    """Frames a second of all processes together; each reads the raw frames, over and over."""
    raw = str(bench.work / "frames.yuv")
    if not os.path.exists(raw):
        jobs.run([bench.ffmpeg, "-v", "error", "-y", "-i", output, "-frames:v", str(RAW_FRAMES), "-pix_fmt", "yuv420p", "-f", "rawvideo",
                  raw])
    size = jobs.run([bench.ffprobe, "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of",
                     "csv=s=x:p=0", output]).strip().splitlines()[0].strip("x")
    frames = options.frames // options.encoders
    started = time.monotonic()
    running = [subprocess.Popen([bench.ffmpeg, "-v", "error", "-nostdin", "-y", "-stream_loop", "-1", "-thread_queue_size", "2", "-f",
                                 "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", "25", "-i", raw, "-frames:v", str(frames),
                                 "-c:v", "libx264", "-preset", options.preset, "-crf", "18", "-threads",
                                 str(options.encoder_threads), "-f", "mov", str(bench.work / f"alone-{i}.mov")])
               for i in range(options.encoders)]
    codes = [one.wait() for one in running]
    if any(codes):
        raise RuntimeError(f"encoders alone: {codes}")
    return round(frames * options.encoders / (time.monotonic() - started), 2)


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 3, 1200)
    parser.add_argument("--preset", default="ultrafast")
    parser.add_argument("--scale", type=float, default=4)
    parser.add_argument("--encoders", type=int, default=4)
    parser.add_argument("--encoder-threads", type=int, default=4)
    parser.add_argument("--segment-target-ms", type=int, default=10000)
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    rows = json.loads(out.read_text())["rounds"] if out.exists() else []
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    clip = bench.clip(options.size, options.frames)
    words = ["--codec", "h264", "--quality", "18", "--preset", options.preset, "--scale", str(options.scale), "--executor", "compiled"]
    env = {"KILN_FARM_SEGMENT_TARGET_MS": str(options.segment_target_ms)}
    # Makes the artifact, which is for tiles and not for clips.
    _, first = bench.upscale(bench.clip(options.size, FIRST_FRAMES), "first", *words, env=env)
    while len(rows) < options.rounds:
        output, report = bench.upscale(clip, "warm", *words, env=env)
        row = jobs.lane_figures(report, options.frames)
        row["encoders_alone_fps"] = encoders_alone(bench, output, options)
        row["ratio"] = round(row["frames_per_second"] / row["encoders_alone_fps"], 3)
        rows.append(row)
        result = {"options": vars(options), "cores": os.cpu_count(), "first": jobs.lane_figures(first, FIRST_FRAMES), "rounds": rows,
                  "ratio": round(statistics.median(row["ratio"] for row in rows), 3)}
        out.write_text(json.dumps(result, indent=1))
        print(json.dumps(row), flush=True)
    bench.close()


if __name__ == "__main__":
    main()
