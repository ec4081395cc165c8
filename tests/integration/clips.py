"""Small clips, made by ffmpeg's own test pictures, and what is in a file afterwards."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

FFMPEG_DEADLINE_S = 60


def ffmpeg(*arguments: object) -> bytes:
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=FFMPEG_DEADLINE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def ffprobe(path: Path, *arguments: str) -> dict:
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FFMPEG_DEADLINE_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{path} cannot be read: {done.stderr}")
    return json.loads(done.stdout)


def pictures(frames: int, size: str = "64x36", rate: str = "30000/1001") -> list[str]:
    """ffmpeg's arguments for an input of that many frames, all of them different."""
    return ["-f", "lavfi", "-t", str(float(Fraction(frames) / Fraction(rate)) + 1), "-i",
            f"testsrc2=s={size}:r={rate},noise=alls=12:allf=t:all_seed=5"]


def make(path: Path, frames: int = 20, size: str = "64x36", rate: str = "30000/1001", pixel_format: str = "yuv420p",
         encoder: tuple[str, ...] = ("-c:v", "libx264", "-qp", "12"), sound: bool = False) -> Path:
    inputs = pictures(frames, size, rate)
    maps = ["-map", "0:v", "-frames:v", str(frames)]
    if sound:
        seconds = float(Fraction(frames) / Fraction(rate))
        inputs += ["-f", "lavfi", "-t", str(seconds), "-i", "sine=frequency=440"]
        maps += ["-map", "1:a", "-c:a", "aac"]
    ffmpeg(*inputs, *maps, "-pix_fmt", pixel_format, *encoder, path)
    return path


def streams(path: Path, kind: str | None = None) -> list[dict]:
    found = ffprobe(path, "-show_streams")["streams"]
    return [s for s in found if kind is None or s["codec_type"] == kind]


def times(path: Path, stream: str = "v:0") -> list[Fraction]:
    """Seconds at which each packet of the stream is shown, in order."""
    found = ffprobe(path, "-select_streams", stream, "-show_entries", "packet=pts:stream=time_base")
    tick = Fraction(found["streams"][0]["time_base"])
    return sorted(packet["pts"] * tick for packet in found["packets"])


def tick(path: Path) -> Fraction:
    return Fraction(streams(path, "video")[0]["time_base"])


def frame_hashes(path: Path) -> list[str]:
    """One digest for each decoded picture; times are not in it."""
    text = ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-").decode()
    return [line.split(",")[5].strip() for line in text.splitlines() if line and not line.startswith("#")]


def raw_frames(path: Path) -> bytes:
    """All pictures as samples of the file's own format: a byte each, or two where it has more than 8 bits."""
    return ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-")


def largest_difference(first: bytes, second: bytes, sample: str = "B") -> int:
    """In code values; `sample` is "H" where a sample is a 16-bit word of this machine's own order."""
    if len(first) != len(second):
        raise AssertionError(f"{len(first)} bytes against {len(second)}")
    pairs = zip(memoryview(first).cast(sample), memoryview(second).cast(sample), strict=True)
    return max((abs(a - b) for a, b in pairs), default=0)
