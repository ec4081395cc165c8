"""Does a lane's memory grow with the clip? Renders for minutes and follows its resident set.

build/release/venv/bin/python tests/bench/lane_memory.py --model PACKAGE [--minutes 10] [--size 320x180]

Prints the resident set each half minute, and at the end: growth from minute 2 to the end (at most 2 % is promised), of the
median and of the highest value, and the slope of a straight line through what was seen after minute 2 (at most 1 MiB a
minute). Where one segment follows another a lane has the buffers of both for a moment, so the windows that are compared are two
minutes long: longer than any segment."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import processes  # noqa: E402

WARM_UP_S = 120
SAMPLE_S = 1.0
PRINT_S = 30
WINDOW_S = 120
GROWTH_MAX = 1.02
SLOPE_MAX_MIB = 1.0
MIB = 1 << 20


def slope_per_minute(samples: list[tuple[float, float]]) -> float:
    """Least squares through (second, MiB)."""
    count = len(samples)
    mean_t, mean_v = (sum(sample[i] for sample in samples) / count for i in (0, 1))
    over = sum((t - mean_t) * (v - mean_v) for t, v in samples)
    under = sum((t - mean_t) ** 2 for t, _ in samples)
    return 60 * over / under if under > 0 else 0.0


def follow(command: subprocess.Popen, seconds: float) -> list[tuple[float, float]]:
    started = time.monotonic()
    [lane] = processes.wait_for("the lane", lambda: processes.named(command.pid, "kiln-lane", "--channel"))
    samples, printed = [], 0.0
    while (now := time.monotonic() - started) < seconds and command.poll() is None:
        samples.append((now, lane.resident_bytes() / MIB))
        if now - printed >= PRINT_S:
            print(f"{now / 60:5.1f} min  {samples[-1][1]:8.1f} MiB", flush=True)
            printed = now
        time.sleep(SAMPLE_S)
    return samples


def judge(samples: list[tuple[float, float]]) -> int:
    settled = [sample for sample in samples if sample[0] >= WARM_UP_S]
    first = [v for t, v in settled if t < WARM_UP_S + WINDOW_S]
    last = [v for t, v in settled if t >= samples[-1][0] - WINDOW_S]
    if samples[-1][0] < WARM_UP_S + 2 * WINDOW_S:
        print("too short: the clip was done before anything could be said")
        return 2
    typical, peak = statistics.median(last) / statistics.median(first), max(last) / max(first)
    slope = slope_per_minute(settled)
    good = max(typical, peak) <= GROWTH_MAX and slope <= SLOPE_MAX_MIB
    print(f"median {statistics.median(last):.1f} MiB, highest {max(last):.1f}; growth {typical:.4f} and {peak:.4f} (at most {GROWTH_MAX}), "
          f"slope {slope:+.3f} MiB a minute (at most {SLOPE_MAX_MIB}): "
          f"{'good' if good else 'BAD'}")
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--executor", default="compiled")
    parser.add_argument("--kiln", default=str(HERE.parents[1] / "build" / "release" / "bin" / "kiln"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Longer than any network needs for it at 200 frames a second.
        source = Path(folder) / "in.mp4"
        seconds = options.minutes * 60 * 200 / 25
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-t", str(seconds), "-i", f"testsrc2=s={options.size}:r=25",
                        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", str(source)], check=True)
        command = subprocess.Popen([options.kiln, "run", "upscale", str(source), "-o", f"{folder}/out.mp4", "--model",
                                    options.model, "--state", f"{folder}/state", "--executor", options.executor, "--preset",
                                    "ultrafast"], stdout=subprocess.DEVNULL)
        try:
            return judge(follow(command, options.minutes * 60))
        finally:
            command.terminate()
            command.wait()


if __name__ == "__main__":
    sys.exit(main())
