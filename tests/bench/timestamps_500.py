"""500 segments of 7 frames at 29.97, and a clip of variable rate: is every frame at its time, and the sound in its place?

build/release/venv/bin/python tests/bench/timestamps_500.py [--segments 500] [--containers mp4 mkv]

Uses a tiny network: what is looked at are times, not pictures. Prints the largest error in ticks (at most 1)."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
os.environ.setdefault("KILN_SOURCE_DIR", str(HERE.parents[1]))

import clips  # noqa: E402
import fixtures  # noqa: E402

SEGMENT_FRAMES = 7
DEADLINE_S = 3600


def make_sources(folder: Path, frames: int) -> list[Path]:
    even = clips.make(folder / "even.mp4", frames=frames, encoder=("-c:v", "libx264", "-preset", "ultrafast"), sound=True)
    varying = folder / "varying.mkv"
    clips.ffmpeg("-i", even, "-map", "0", "-vf", "setpts='PTS+(floor(N/11)*7+floor(N/3)*2)/TB/1000'", "-fps_mode",
                 "passthrough", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy", varying)
    return [even, varying]


def worst_error(source: Path, output: Path) -> tuple[Fraction, Fraction]:
    """In ticks of the coarser of both clocks; and how far the sound moved, in seconds."""
    wanted, got = clips.times(source), clips.times(output)
    if len(wanted) != len(got):
        raise SystemExit(f"{output.name}: {len(got)} frames instead of {len(wanted)}")
    tick = max(clips.tick(source), clips.tick(output))
    sound = [clips.times(path, "a:0")[0] - clips.times(path)[0] for path in (source, output)]
    return max(abs(a - b) for a, b in zip(wanted, got, strict=True)) / tick, abs(sound[0] - sound[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=500)
    parser.add_argument("--containers", nargs="+", default=["mp4", "mkv"])
    options = parser.parse_args()
    clips.FFMPEG_DEADLINE_S = DEADLINE_S
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in make_sources(folder, options.segments * SEGMENT_FRAMES):
            for container in options.containers:
                output = folder / f"{source.stem}-out.{container}"
                fixtures.run([str(fixtures.KILN), "run", "upscale", str(source), "-o", str(output), "--model",
                              str(fixtures.package("double")), "--state", f"{name}/state", "--executor", "uncompiled",
                              "--segment-frames", str(SEGMENT_FRAMES), "--preset", "ultrafast"], DEADLINE_S)
                ticks, sound_s = worst_error(source, output)
                bad += ticks > 1 or sound_s > Fraction(1, 500)
                print(f"{source.name} -> {output.name}: {len(clips.times(output))} frames, at most {float(ticks):.3f} "
                      f"ticks off, sound moved {float(sound_s) * 1000:.3f} ms", flush=True)
    print("good" if bad == 0 else "BAD")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
