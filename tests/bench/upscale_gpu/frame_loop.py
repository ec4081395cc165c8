"""The frame loop of a lane on a card into an encoder that encodes nothing, against what the card alone takes for its frames.

    python3 tests/bench/upscale_gpu/frame_loop.py --bundle TAR --package DIR --null-encoder PROGRAM --out FILE.json
        [--device cuda:0] [--rounds 3] [--frames 2400] [--size 1280x720]

PROGRAM is build/release/bench/null_encoder: a process of its own, which reads every byte of every plane from its pipe. First
it hashes what it reads, and that must be what the frames of an FFV1 job hash to; then it only counts. "Card alone": what the
card's own clock says between the first kernel of a frame and its last, copies apart. The file is written after every round."""

import json
import os
import pathlib
import statistics

import jobs

SAMPLE_BYTES = 16  # of an "encoded" frame: a hash
HASHED_SIZE = "640x360"  # large enough that its frames are lent to the encoder's pipe


def null_media(bench, program):
    """A folder in which ffmpeg is the null encoder, and the environment that it wants."""
    folder = bench.work / "null"
    folder.mkdir()
    os.symlink(os.path.abspath(program), folder / "ffmpeg")
    os.symlink(bench.ffprobe, folder / "ffprobe")
    return str(folder / "ffmpeg"), {"KILN_REAL_FFMPEG": bench.ffmpeg,
                                    "LD_LIBRARY_PATH": f"{bench.root / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


def hashes_agree(bench, null, env):
    """The null encoder's hashes, the report's, and those of an FFV1 job of the same clip."""
    clip = bench.clip(HASHED_SIZE, 100)
    words = ["--codec", "ffv1", "--executor", "compiled"]
    _, real = bench.upscale(clip, "lossless", *words)
    output, report = bench.upscale(clip, "hashed", *words, "--ffmpeg", null, env={**env, "KILN_NULL_HASH": "1"})
    data = str(bench.work / "hashes")  # hashes are no FFV1: a parser takes some of them for frames that need another
    jobs.run([bench.ffmpeg, "-v", "error", "-y", "-i", output, "-map", "0:v", "-c", "copy", "-copyinkf", "-f", "data", data])
    raw = pathlib.Path(data).read_bytes()
    seen = [raw[i : i + SAMPLE_BYTES].hex() for i in range(0, len(raw), SAMPLE_BYTES)]
    said = report["clips"][0]["frame_hashes"]
    return {"frames": len(said), "null_encoder_is_report": seen == said, "report_is_ffv1_job": said == real["clips"][0]["frame_hashes"],
            "read_back": len(seen), "other": [i for i, (a, b) in enumerate(zip(seen, said)) if a != b][:4]}


def main():
    parser = jobs.arguments(__doc__.splitlines()[0], 3, 2400)
    parser.add_argument("--null-encoder", required=True)
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package, options.device)
    null, env = null_media(bench, options.null_encoder)
    result = {"options": vars(options), "cores": os.cpu_count(), "hashes": hashes_agree(bench, null, env), "rounds": []}
    print(json.dumps(result["hashes"]), flush=True)
    pathlib.Path(options.out).write_text(json.dumps(result, indent=1))
    if options.rounds == 0:
        return bench.close()
    clip = bench.clip(options.size, options.frames)
    words = ["--codec", "ffv1", "--executor", "compiled", "--ffmpeg", null]
    bench.upscale(clip, "first", *words, env=env)  # makes the artifact
    for _ in range(options.rounds):
        _, report = bench.upscale(clip, "loop", *words, env=env)
        row = jobs.lane_figures(report, options.frames)
        row["card_ms_per_frame"] = round(1e3 * row["model_s"] / options.frames, 3)
        row["card_frames_per_second"] = round(options.frames / row["model_s"], 2)
        row["ratio_of_loop"] = round(row["loop_frames_per_second"] / row["card_frames_per_second"], 3)
        result["rounds"].append(row)
        result["ratio_of_loop"] = round(statistics.median(one["ratio_of_loop"] for one in result["rounds"]), 3)
        pathlib.Path(options.out).write_text(json.dumps(result, indent=1))
        print(json.dumps(row), flush=True)
    bench.close()


if __name__ == "__main__":
    main()
