"""Text to video by the real programs, with a tiny model of random weights."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

import fixtures
import processes
from farm_case import FarmCase
from kiln_case import KilnCase

SIZE = (64, 48)
FRAMES = 9
STEPS = 4
LONG_STEPS = 200  # a shot that can be disturbed before its frames are decoded


def frames_of(path: Path) -> list[str]:
    listed = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-f", "framemd5", "-"], capture_output=True, text=True, check=True)
    return [line.rsplit(",", 1)[1].strip() for line in listed.stdout.splitlines() if not line.startswith("#")]


def picture_of(path: Path) -> dict:
    listed = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
                             "stream=width,height,r_frame_rate,pix_fmt,color_space,color_range", "-of", "json", str(path)],
                            capture_output=True, text=True, check=True)  # fmt: skip
    return json.loads(listed.stdout)["streams"][0]


class GenerateTest(KilnCase):
    def command(self, output: Path, *flags: object, prompt: str = "a red fox", package: Path | None = None, seed: int = 1,
                steps: int = STEPS, size: str = f"{SIZE[0]}x{SIZE[1]}", frames: int = FRAMES) -> list[str]:
        return [str(fixtures.KILN), "run", "generate", "--model", str(package or fixtures.wan_package()), "--prompt", prompt, "--size", size,
                "--frames", str(frames), "--steps", str(steps), "--cfg", "6", "--shift", "3", "--seed", str(seed), "--device", "cpu",
                "--lanes", "1", "--threads-per-lane", "1", "--codec", "ffv1", "--state", str(self.state), "--json", "-o", str(output),
                *map(str, flags)]  # fmt: skip

    def generate(self, output: Path, *flags: object, **options) -> dict:
        run = self.run_command(self.command(output, *flags, **options))
        self.assertEqual(run.code, 0, f"{run.out}\n{run.err}")
        return run.report()

    def wait_for_step(self, command: subprocess.Popen) -> processes.Process:
        """A lane is at the shot: it has the model's weights open, and keeps them so."""
        def at_work() -> processes.Process | None:
            self.assertIsNone(command.poll(), self.said(command))
            for lane in self.lanes(command):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if any("diffusion_pytorch_model" in os.readlink(file) for file in Path(f"/proc/{lane.pid}/fd").iterdir()):
                        return lane
            return None

        return processes.wait_for("a lane at the shot", at_work)

    def test_words_become_a_video(self):
        output = self.folder / "out.mkv"
        report = self.generate(output)
        self.assertEqual(len(set(frames_of(output))), FRAMES)
        picture = picture_of(output)
        self.assertEqual((picture["width"], picture["height"], picture["r_frame_rate"]), (*SIZE, "16/1"))
        self.assertEqual((picture["pix_fmt"], picture["color_space"], picture["color_range"]), ("yuv420p", "bt709", "tv"))
        self.assertEqual(report["clips"][0]["frames"], FRAMES)
        weights = sum(file.stat().st_size for file in fixtures.wan_package().glob("weights/transformer/*"))
        self.assertGreater(weights, 1_000_000)
        stored = [file.stat().st_size for file in (self.state / "store").rglob("*") if file.is_file()]
        self.assertNotIn(max(f.stat().st_size for f in fixtures.wan_package().glob("weights/transformer/*")), stored,
                         "weights on this machine are used where they are")

    def test_a_seed_is_the_clip_and_another_one_is_not(self):
        clips = {}
        for name, seed, prompt in (("a", 1, "a red fox"), ("again", 1, "a red fox"), ("seed", 2, "a red fox"), ("words", 1, "")):
            self.generate(self.folder / f"{name}.mkv", seed=seed, prompt=prompt)
            clips[name] = frames_of(self.folder / f"{name}.mkv")
        self.assertEqual(clips["a"], clips["again"])
        self.assertNotEqual(clips["a"], clips["seed"])
        self.assertNotEqual(clips["a"], clips["words"])

    def test_a_lane_that_is_killed_in_the_middle_costs_a_try(self):
        whole, disturbed = self.folder / "whole.mkv", self.folder / "disturbed.mkv"
        self.generate(whole, steps=LONG_STEPS)
        command = self.start_command(self.command(disturbed, steps=LONG_STEPS))
        self.wait_for_step(command).signal(signal.SIGKILL)
        run = self.finish(command)
        self.assertEqual(run.code, 0, run.err)
        self.assertEqual(run.report()["lanes_lost"], 1, run.err)
        self.assertEqual(frames_of(disturbed), frames_of(whole))
        self.assert_all_gone(self.folder)

    def test_an_interrupted_command_goes_on(self):
        output = self.folder / "out.mkv"
        command = self.start_command(self.command(output, steps=LONG_STEPS))
        self.wait_for_step(command)
        self.interrupt(command)
        self.assertEqual(self.finish(command).code, 130)
        self.assert_nothing_at(output)
        self.assert_all_gone(self.folder)
        self.generate(output, steps=LONG_STEPS)
        self.assertEqual(len(frames_of(output)), FRAMES)

    def refuse_shot(self, code: int, words: list[str], *flags: object, **options) -> None:
        output = self.folder / "refused.mkv"
        self.refused(self.run_command(self.command(output, *flags, **options)), code, *words)
        self.assert_nothing_at(output)

    def test_what_cannot_be_is_refused_before_anything_starts(self):
        self.refuse_shot(2, ["70x48", "the nearest is 64x48"], size="70x48")
        self.refuse_shot(2, ["8 frames", "the nearest is 9"], frames=8)
        self.refuse_shot(2, ["1 to 1000"], steps=0)
        self.refuse_shot(2, ["'wide' is no size"], size="wide")
        self.refuse_shot(2, ["not compiled yet"], "--executor", "compiled")
        self.refuse_shot(2, ["16384"], prompt="a" * 16_385)
        self.refuse_shot(2, ["one network"], "--cfg-low-noise", "3")
        self.refuse_shot(66, ["no model package", "kiln import diffusers"], package=self.folder / "none")
        self.refuse_shot(65, ["generator"], package=fixtures.package("double"))
        self.assertFalse((self.state / "worker").exists())

    def test_more_than_a_lane_holds_is_refused_with_what_would_do(self):
        self.refuse_shot(1, ["no lane holds it", "MiB are needed", "fewer frames or a smaller size take less"], size="4096x4096", frames=241)
        self.refuse_shot(65, ["not for shots as large or long as this"], size="8192x8192", frames=4093)

    def test_weights_that_were_cut_are_refused(self):
        package = self.folder / "package"
        shutil.copytree(fixtures.wan_package(), package)
        file = max(package.glob("weights/transformer/*"), key=lambda one: one.stat().st_size)
        file.write_bytes(file.read_bytes()[:-1])
        self.refuse_shot(65, [file.name, "Import the model again"], package=package)


class GenerateOnAFarmTest(FarmCase):
    def test_each_shot_is_a_task_and_workers_fetch_the_weights(self):
        self.start_coordinator()
        for name in ("w1", "w2"):
            self.start_worker(name, "--device", "cpu")
            self.wait_for_worker(name)
        job = self.folder / "shots.toml"
        job.write_text(f"""
model = {json.dumps(str(fixtures.wan_package()))}
size = "{SIZE[0]}x{SIZE[1]}"
frames = {FRAMES}
steps = {STEPS}
codec = "ffv1"
[[shot]]
prompt = "a red fox"
seed = 1
[[shot]]
prompt = "a blue dog"
output = "dog.mkv"
[[shot]]
prompt = ""
frames = 1
""")
        status = self.finish_job(self.ask("submit", job)["job"])
        self.assertEqual([clip["frames"] for clip in status["clips"]], [FRAMES, FRAMES, 1])
        self.assertEqual([len(clip["segments"]) for clip in status["clips"]], [1, 1, 1])
        results = self.folder / "results"
        results.mkdir()
        self.ask("fetch", status["job"], "-o", results)
        self.assertEqual(len(frames_of(results / "dog.mkv")), FRAMES)
        self.assertEqual(sorted(file.name for file in results.iterdir()), ["dog.mkv", "shot_1.mkv", "shot_3.mkv"])


if __name__ == "__main__":
    unittest.main()
