"""Whole jobs of several networks on a card: compiled and uncompiled against each other and against the CPU in float32.

    python3 tests/gpu/networks_run.py --bundle TAR --package DIR_OR_TAR... --out FILE.json [--device cuda:0] [--size 640x360]
        [--frames 48] [--reference-frames 4]

For each package: the clip with --executor compiled (empty store, then warm) and uncompiled, FFV1, and its first frames on the CPU
in float32. Frames of both executors may differ by 2 code values at 8 bit, PSNR at least 50 dB."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench" / "upscale_gpu"))

import jobs  # noqa: E402
import numpy  # noqa: E402

DIFFERENCE_MAX = 2
PSNR_MIN_DB = 50.0


def planes(bench, path, frames):
    done = subprocess.run([bench.ffmpeg, "-v", "error", "-i", path, "-frames:v", str(frames), "-f", "rawvideo", "-"], capture_output=True,
                          check=True)
    return numpy.frombuffer(done.stdout, numpy.uint8).astype(numpy.int16)


def compare(bench, one, other, frames):
    a, b = planes(bench, one, frames), planes(bench, other, frames)
    if a.shape != b.shape:
        return {"equal_length": False}
    apart = numpy.abs(a - b)
    square = float((apart.astype(numpy.float64) ** 2).mean())
    return {"largest": int(apart.max()), "share_apart": round(float((apart > 0).mean()), 6),
            "psnr_db": round(10 * numpy.log10(255**2 / square), 2) if square else None,
            "good": bool(apart.max() <= DIFFERENCE_MAX and (square == 0 or 10 * numpy.log10(255**2 / square) >= PSNR_MIN_DB))}


def unpacked(bench, package):
    if os.path.isdir(package):
        return package
    folder = bench.work / "packages" / pathlib.Path(package).name.split(".")[0]
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-xf", package, "-C", str(folder)], check=True)
    return str(next(folder.iterdir()))


def figures(report, frames):
    row = jobs.lane_figures(report, frames)
    return {key: row[key] for key in ("command_s", "frames_per_second", "loop_frames_per_second", "first_frame_s", "compiles", "model_s",
                                      "wait_decode_s", "wait_encode_s")} | {"compile_s": round(report["compile_s"], 1)}


def run_package(bench, package, options):
    bench.package = unpacked(bench, package)
    clip = bench.clip(options.size, options.frames)
    row = {"package": pathlib.Path(bench.package).name}
    try:
        cold, report = bench.upscale(clip, "cold", "--codec", "ffv1", "--executor", "compiled")
        row["cold"] = figures(report, options.frames)
        _, report = bench.upscale(clip, "warm", "--codec", "ffv1", "--executor", "compiled")
        row["warm"] = figures(report, options.frames)
        plain, report = bench.upscale(clip, "plain", "--codec", "ffv1", "--executor", "uncompiled")
        row["uncompiled"] = figures(report, options.frames)
        row["executors"] = compare(bench, cold, plain, options.frames)
        if options.reference_frames:
            short = bench.clip(options.size, options.reference_frames)
            fast, _ = bench.upscale(short, "short", "--codec", "ffv1", "--executor", "compiled")
            bench.device, card = "cpu", bench.device
            slow, _ = bench.upscale(short, "reference", "--codec", "ffv1", "--executor", "uncompiled", "--precision", "float32")
            bench.device = card
            row["against_cpu_float32"] = compare(bench, fast, slow, options.reference_frames)
    except RuntimeError as error:
        row["error"] = str(error)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True, nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--reference-frames", type=int, default=4)
    options = parser.parse_args()
    bench = jobs.Jobs(options.bundle, options.package[0], options.device)
    rows = []
    for package in options.package:
        rows.append(run_package(bench, package, options))
        pathlib.Path(options.out).write_text(json.dumps(rows, indent=1))
        print(json.dumps(rows[-1]), flush=True)
    bench.close()


if __name__ == "__main__":
    main()
