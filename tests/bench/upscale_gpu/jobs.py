"""What the benches of whole jobs share: a bundle unpacked where there is room, a clip, and a job with what its lane said."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

MEMORY_BYTES_MIN = 8 << 30  # else files are in /tmp
CAREFUL_FRAMES_MAX = 2400


def run(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{words[:4]}: {done.returncode} {done.stdout[-800:]} {done.stderr[-800:]}")
    return done.stdout


def roomy_folder():
    shared = "/dev/shm"
    return shared if os.path.isdir(shared) and shutil.disk_usage(shared).free > MEMORY_BYTES_MIN else None


def arguments(description, rounds, frames):
    """A parser with what every such bench takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--package", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--frames", type=int, default=frames)
    parser.add_argument("--size", default="1280x720")
    return parser


class Jobs:
    """Jobs of one unpacked bundle, on clips made of its own, with one state folder: what was compiled stays compiled."""

    def __init__(self, bundle, package, device):
        self.package, self.device = package, device
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="kiln-jobs-", dir=roomy_folder()))
        subprocess.run(["tar", "-xf", bundle, "-C", str(self.work)], check=True)
        self.root = next(path for path in self.work.iterdir() if (path / "bin" / "kiln").exists())
        self.ffmpeg = str(self.root / "bin" / "ffmpeg")
        self.ffprobe = str(self.root / "bin" / "ffprobe")

    def clip(self, size, frames):
        """The bundle's clip, scaled and repeated. Long ones repeat the packets of a short one, which was encoded in a hurry."""
        path = str(self.work / f"clip-{size}-{frames}.mp4")
        repeated = frames > CAREFUL_FRAMES_MAX
        first = str(self.work / f"clip-{size}-repeated.mp4") if repeated else path
        run([self.ffmpeg, "-v", "error", "-y", "-stream_loop", "-1", "-i", str(self.root / "share" / "clip.mp4"), "-vf",
             f"scale={size.replace('x', ':')}", "-an", "-frames:v", str(CAREFUL_FRAMES_MAX if repeated else frames), "-c:v", "libx264",
             "-preset", "ultrafast" if repeated else "fast", "-g", "48", first])
        if repeated:
            run([self.ffmpeg, "-v", "error", "-y", "-stream_loop", "-1", "-i", first, "-c", "copy", "-frames:v", str(frames), path])
        return path

    def upscale(self, clip, name, *more, env=None):
        """The output's path, and the report."""
        output = str(self.work / f"{name}.mkv")
        started = time.monotonic()
        words = [str(self.root / "bin" / "kiln"), "--json", "run", "upscale", clip, "-o", output, "--model", self.package,
                 "--device", self.device, "--python", sys.executable, "--state", str(self.work / "state"), "--overwrite", *more]
        report = json.loads(run(words, env={**os.environ, **(env or {})}))
        report["command_s"] = time.monotonic() - started
        return output, report

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)


def lane_figures(report, frames):
    lane = report["lanes"][0]
    loop_s = lane["model_s"] + lane["wait_decode_s"] + lane["wait_encode_s"]
    return {"command_s": round(report["command_s"], 2), "frames_per_second": round(frames / report["command_s"], 2),
            "loop_frames_per_second": round(frames / loop_s, 2), "slow_part": report["slow_part"],
            "first_frame_s": round(report["first_frame_s"], 2), "compiles": report["compiles"],
            "phases": {key: round(value, 2) for key, value in report["phases"].items()},
            "behind_the_loop_s": round(report["command_s"] - report["phases"]["start_s"] - loop_s, 2),
            **{key: round(lane[key], 2) for key in lane if key.endswith("_s")}}
