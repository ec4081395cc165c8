"""Lanes, children and the whole command end at any moment: the job goes on, with the same frames, and nobody stays."""

from __future__ import annotations

import shutil
import signal
import subprocess
import unittest
from pathlib import Path

import clips
import fixtures
import journal_facts
import processes
from kiln_case import KilnCase

FRAMES = 240
SEGMENT_FRAMES = 60


class Interrupted(KilnCase):
    """One job, what it gives when nobody disturbs it, and ways to start it again."""

    flags = ("--codec", "ffv1", "--segment-frames", SEGMENT_FRAMES, "--threads-per-lane", 1)

    def setUp(self) -> None:
        super().setUp()
        fixtures.copy_warm_state(self.state)
        self.source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25", sound=True)
        self.output = self.folder / "out.mkv"

    def undisturbed(self) -> list[str]:
        report = self.upscale(self.source, self.folder / "whole.mkv", *self.flags, executor="compiled")
        return report["clips"][0]["frame_hashes"]

    def begin(self, *flags: object) -> subprocess.Popen:
        return self.start(self.source, self.output, *self.flags, *flags, executor="compiled")

    def finish_job(self, *flags: object) -> dict:
        return self.upscale(self.source, self.output, *self.flags, *flags, executor="compiled")

    def records(self) -> list[dict]:
        """Results of segments that the journal holds."""
        journal = self.state / "journal"
        if not (journal / "journal.db").exists():
            return []
        return journal_facts.finished_segments(journal_facts.read(journal, fixtures.BINARY))

    def wait_for_record(self, command: subprocess.Popen, count: int = 1) -> None:
        processes.wait_for(f"{count} finished segments",
                           lambda: command.poll() is not None or len(self.records()) >= count)
        self.assertIsNone(command.poll(), "the command ended before it could be disturbed")

    def kill(self, command: subprocess.Popen) -> None:
        """kill -9 of the command alone: all others have to notice by themselves."""
        watched = processes.descendants(command.pid)
        command.kill()
        command.wait()
        self.assert_all_gone(self.folder, watched)

    def check_output(self, report: dict, wanted: list[str]) -> None:
        self.assertEqual(report["clips"][0]["frame_hashes"], wanted)
        self.assertEqual(clips.frame_hashes(self.output), clips.frame_hashes(self.folder / "whole.mkv"))
        self.assertEqual(len(clips.streams(self.output, "audio")), 1)
        left = [path.name for path in self.folder.iterdir() if path.name.startswith(".kiln-")]
        self.assertEqual(left, [])


class KilledLaneTest(Interrupted):
    def test_job_goes_on_with_the_same_frames(self):
        wanted = self.undisturbed()
        command = self.begin("--lanes", 2)
        self.wait_for_part(command)
        encoder = self.encoders(command)[0]
        busy = next(lane for lane in self.lanes(command)
                    if encoder.pid in {child.pid for child in processes.descendants(lane.pid)})
        busy.signal(signal.SIGKILL)
        run = self.finish(command)
        self.assertEqual(run.code, 0, run.err)
        self.assertGreaterEqual(run.report()["lanes_lost"], 1)
        self.assertIn("its lane died", run.err)
        self.check_output(run.report(), wanted)
        self.assert_all_gone(self.folder)

    def test_lane_that_dies_each_time_ends_the_job_with_its_reason(self):
        command = self.begin()
        for _ in range(12):
            if command.poll() is not None:
                break
            found = processes.wait_for("an encoder", lambda: command.poll() is not None or self.encoders(command))
            for lane in self.lanes(command) if found is not True else []:
                lane.signal(signal.SIGKILL)
                processes.wait_for("the lane to end", lambda one=lane: not one.alive())
        run = self.finish(command)
        self.assertEqual(run.code, 1, run.err)
        self.assertIn("signal 9", run.err.splitlines()[-1])
        self.assert_nothing_at(self.output)


class TakenResultTest(Interrupted):
    """What was joined moves out of the store to its place; a command that ends in between has the only one."""

    flags = ("--codec", "ffv1", "--segment-frames", SEGMENT_FRAMES)

    def test_next_run_places_it_and_renders_nothing(self):
        command = self.start(self.source, self.output, *self.flags)
        processes.wait_for("the farm", lambda: command.poll() is not None or (self.state / "coordinator.json").exists())
        self.output.mkdir()  # the name that the result is to have
        run = self.finish(command)
        self.assertNotEqual(run.code, 0)
        parts = [path for path in self.folder.iterdir() if path.name.startswith(".kiln-")]
        self.assertEqual(len(parts), 1)
        self.assertEqual(parts[0].stat().st_nlink, 1, "a blob of the store as well")
        inode = parts[0].stat().st_ino
        self.output.rmdir()
        report = self.upscale(self.source, self.output, *self.flags)
        self.assertEqual(report["lanes"], [])
        self.assertEqual(self.output.stat().st_ino, inode)
        self.assertEqual(len(clips.frame_hashes(self.output)), FRAMES)
        self.assert_nothing_but(self.output)

    def test_where_it_is_gone_the_job_starts_over(self):
        command = self.start(self.source, self.output, *self.flags)
        processes.wait_for("the farm", lambda: command.poll() is not None or (self.state / "coordinator.json").exists())
        self.output.mkdir()
        self.assertNotEqual(self.finish(command).code, 0)
        for path in self.folder.iterdir():
            if path.name.startswith(".kiln-"):
                path.unlink()
        self.output.rmdir()
        run = self.run_command(self.arguments(self.source, self.output, "--executor", "uncompiled", *self.flags))
        self.assertEqual(run.code, 0, run.err)
        self.assertIn("starts over", run.err)
        self.assertEqual(len(clips.frame_hashes(self.output)), FRAMES)
        self.assert_nothing_but(self.output)

    def assert_nothing_but(self, output: Path) -> None:
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith(".kiln-")], [])
        self.assertTrue(output.is_file())


class KilledPartTest(Interrupted):
    """The command's own store, worker and coordinator are killed while frames are rendered, and are started again."""

    def test_command_goes_on_with_the_same_frames(self):
        wanted = self.undisturbed()
        command = self.begin("--lanes", 2)
        self.wait_for_record(command)
        for name in ("cache", "worker", "coordinator"):
            parts = processes.wait_for(name, lambda name=name: [one for one in processes.descendants(command.pid)
                                                                if one.command().split()[1:2] == [name]])
            self.assertEqual(len(parts), 1, name)
            parts[0].signal(signal.SIGKILL)
        run = self.finish(command)
        self.assertEqual(run.code, 0, run.err)
        self.assertIn("the coordinator was killed by signal 9", run.err)
        self.assertIn("the worker was killed by signal 9", run.err)
        self.check_output(run.report(), wanted)
        self.assert_all_gone(self.folder)


class KilledCommandTest(Interrupted):
    def test_repeated_command_goes_on_with_the_same_frames(self):
        wanted = self.undisturbed()
        command = self.begin("--lanes", 2)
        processes.wait_for("lanes", lambda: self.lanes(command))
        self.kill(command)

        command = self.begin("--lanes", 2)
        self.wait_for_record(command)
        self.kill(command)
        kept = len(self.records())
        self.assertGreaterEqual(kept, 1)
        self.assertFalse(self.output.exists())

        command = self.begin()
        self.wait_for_part(command)
        self.kill(command)
        self.assertGreaterEqual(len(self.records()), kept)

        command = self.begin()
        processes.wait_for("the join", lambda: command.poll() is not None or list(self.folder.glob(".kiln-*")))
        self.kill(command)
        if self.output.exists():  # it was quicker than we
            self.output.unlink()
        report = self.finish_job()
        self.check_output(report, wanted)

    def test_finished_segments_are_not_rendered_again(self):
        wanted = self.undisturbed()
        command = self.begin()
        self.wait_for_record(command, 2)
        self.kill(command)
        kept = len(self.records())
        report = self.finish_job()
        self.assertEqual(report["clips"][0]["segments_resumed"], kept)
        self.assertEqual(report["clips"][0]["segments"], FRAMES // SEGMENT_FRAMES)
        rendered = sum(lane["segments"] for lane in report["lanes"])
        self.assertEqual(rendered + kept, FRAMES // SEGMENT_FRAMES)
        self.check_output(report, wanted)

    def test_damaged_segment_is_rendered_again(self):
        wanted = self.undisturbed()
        command = self.begin()
        self.wait_for_record(command)
        self.kill(command)
        kept = len(self.records())
        blob = self.records()[0]["blob"]
        copies = [path for path in self.state.rglob("*") if path.is_file() and blob.endswith(path.name) and len(path.name) > 32]
        self.assertGreaterEqual(len(copies), 1)
        for path in copies:
            path.chmod(0o600)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        report = self.finish_job()
        self.assertEqual(report["clips"][0]["segments_resumed"], kept)
        rendered = sum(lane["segments"] for lane in report["lanes"])
        self.assertEqual(rendered + kept, FRAMES // SEGMENT_FRAMES + 1)
        self.check_output(report, wanted)

    def test_other_settings_begin_anew(self):
        command = self.begin()
        self.wait_for_record(command)
        self.kill(command)
        report = self.upscale(self.source, self.output, "--codec", "ffv1", "--segment-frames", 50, executor="compiled")
        self.assertEqual(report["clips"][0]["segments_resumed"], 0)

    def test_resumed_segments_are_encoded_as_the_others_were(self):
        """Encoders write other bits with other thread counts, which follow the number of lanes."""
        flags = ("--codec", "h264", "--segment-frames", SEGMENT_FRAMES)
        for count, lanes in ((1, 2), (3, 1)):
            command = self.start(self.source, self.output, *flags, "--lanes", lanes, executor="compiled")
            self.wait_for_record(command, count)
            self.kill(command)
        settings = [record["settings_digest"] for record in self.records()]
        self.assertGreaterEqual(len(settings), 3)
        self.assertEqual(len(set(settings)), 1)

    def test_clips_that_are_joined_stay_as_they_are(self):
        first = clips.make(self.folder / "first.mp4", frames=10, rate="25")
        out = self.folder / "out"
        out.mkdir()
        sources = [first, self.source]
        command = self.start(sources, out, *self.flags, executor="compiled")
        done = out / "first_x2.mkv"  # which holds FFV1
        processes.wait_for("the first output", lambda: command.poll() is not None or done.exists())
        self.wait_for_part(command)
        self.kill(command)
        before = done.stat()
        report = self.upscale(sources, out, *self.flags, executor="compiled")
        self.assertEqual(done.stat().st_mtime_ns, before.st_mtime_ns)
        by_source = {clip["source"]: clip for clip in report["clips"]}
        self.assertEqual(by_source[str(first)]["segments_resumed"], by_source[str(first)]["segments"])
        self.assertEqual([by_source[str(source)]["frames"] for source in sources], [10, FRAMES])
        self.assertEqual(len(clips.frame_hashes(out / "in_x2.mkv")), FRAMES)
        self.assertEqual(list((self.state / "jobs").iterdir()), [])

    def test_compiler_ends_with_the_command(self):
        state = self.folder / "cold"
        command = self.start(self.source, self.output, *self.flags, executor="compiled", state=state)
        processes.wait_for("g++", lambda: processes.named(command.pid, "cc1plus"), 120)
        self.kill(command)


class ImageSourceTest(Interrupted):
    """A source that is a folder of pictures, all of which count."""

    flags = ("--codec", "ffv1", "--segment-frames", 20, "--threads-per-lane", 1)

    def setUp(self) -> None:
        super().setUp()
        self.images = self.folder / "images"
        self.images.mkdir()
        clips.ffmpeg("-i", self.source, "-frames:v", "120", "-pix_fmt", "rgb24", self.images / "%04d.png")

    def stopped_after_a_segment(self, source: Path) -> int:
        command = self.start(source, self.output, *self.flags)
        self.wait_for_record(command)
        self.kill(command)
        return len(self.records())

    def test_same_images_go_on(self):
        kept = self.stopped_after_a_segment(self.images / "%04d.png")
        [clip] = self.upscale(self.images / "%04d.png", self.output, *self.flags)["clips"]
        self.assertEqual(clip["segments_resumed"], kept)

    def test_changed_image_begins_anew(self):
        for source in (self.images, self.images / "*.png"):
            self.stopped_after_a_segment(source)
            shutil.copy(self.images / "0100.png", self.images / "0002.png")
            [clip] = self.upscale(source, self.output, *self.flags, "--overwrite")["clips"]
            self.assertEqual(clip["segments_resumed"], 0)
            self.assertEqual(clip["frame_hashes"][1], clip["frame_hashes"][99])
            shutil.copy(self.images / "0003.png", self.images / "0002.png")
            self.output.unlink()


class InterruptTest(Interrupted):
    def check_signal(self, send, code: int) -> None:
        command = self.begin()
        self.wait_for_record(command)
        watched = processes.descendants(command.pid)
        send(command)
        run = self.finish(command, 30)
        self.refused(run, code, "same command")
        self.assert_all_gone(self.folder, watched)
        self.assert_nothing_at(self.output)

    def test_ctrl_c_ends_with_130_and_the_job_can_go_on(self):
        wanted = self.undisturbed()
        self.check_signal(self.interrupt, 130)
        report = self.finish_job()
        self.assertGreater(report["clips"][0]["segments_resumed"], 0)
        self.check_output(report, wanted)

    def test_sigterm_ends_with_143(self):
        self.check_signal(lambda command: command.terminate(), 143)

    def test_ctrl_c_before_anything_is_rendered(self):
        command = self.start(self.source, self.output, *self.flags, executor="compiled", state=self.folder / "cold")
        processes.wait_for("a lane", lambda: self.lanes(command))
        self.interrupt(command)
        self.assertEqual(self.finish(command, 30).code, 130)
        self.assert_all_gone(self.folder)


class LockedStateTest(Interrupted):
    def test_second_command_is_refused_while_the_first_runs(self):
        command = self.begin()
        self.wait_for_part(command)
        [lane] = self.lanes(command)
        lane.signal(signal.SIGSTOP)
        self.refuse(75, [str(self.state)], self.source, self.folder / "second.mkv", executor="compiled")
        lane.signal(signal.SIGCONT)
        self.assertEqual(self.finish(command).code, 0)
        self.upscale(self.source, self.folder / "second.mkv", executor="compiled")


class KilledCompileChildTest(KilnCase):
    def kill_children(self, command: subprocess.Popen) -> None:
        """Each one that is started: the first only imports, and the next one is given the request."""
        def ended() -> bool:
            for child in processes.named(command.pid, "kiln_compile"):
                child.signal(signal.SIGKILL)
                self.killed += 1
            return command.poll() is not None

        self.killed = 0
        processes.wait_for("the command to end", ended)
        self.assertGreater(self.killed, 0)

    def test_frames_stay_uncompiled_or_the_job_says_why(self):
        source = clips.make(self.folder / "in.mp4", frames=8)
        command = self.start(source, self.folder / "any.mp4", executor="any")
        self.kill_children(command)
        run = self.finish(command)
        self.assertEqual(run.code, 0, run.err)
        self.assertEqual(run.report()["clips"][0]["frames_compiled"], 0)
        command = self.start(source, self.folder / "compiled.mp4", executor="compiled")
        self.kill_children(command)
        self.refused(self.finish(command), 75, "compile child", "signal 9")
        self.assert_nothing_at(self.folder / "compiled.mp4")


if __name__ == "__main__":
    unittest.main()
