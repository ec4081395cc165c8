"""Compiled artifacts: made once, used by everyone, waited for by nobody, and never loaded when they are not ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import unittest
from pathlib import Path

import clips
import fixtures
import processes
from kiln_case import KilnCase

ARTIFACT_DEADLINE_S = 300
FRAMES_LONG = 120


def stored_libraries(state: Path) -> list[Path]:
    return [path for path in (state / "store" / "cas.v1").glob("*/*") if path.is_file() and
            path.read_bytes()[:4] == b"\x7fELF"]


def stored_keys(state: Path) -> list[Path]:
    return [path for path in (state / "store" / "keys.v1").glob("*") if path.is_file()]


class ColdStoreTest(KilnCase):
    def test_lane_switches_in_the_middle_of_a_segment(self):
        """The lane is held while it has rendered its first frames, until the artifact is there."""
        source = clips.make(self.folder / "in.mp4", frames=FRAMES_LONG, rate="25")
        arguments = (source, self.folder / "any.mkv", "--codec", "ffv1", "--segment-frames", 1000)
        command = self.start(*arguments, executor="any")
        self.wait_for_part(command)
        [lane] = self.lanes(command)
        lane.signal(signal.SIGSTOP)
        processes.wait_for("the artifact", lambda: stored_keys(self.state), ARTIFACT_DEADLINE_S)
        lane.signal(signal.SIGCONT)
        run = self.finish(command)
        self.assertEqual(run.code, 0, run.err)
        first = run.report()
        [clip] = first["clips"]
        self.assertEqual(clip["segments"], 1)
        self.assertGreater(clip["frames_compiled"], 0)
        self.assertGreater(clip["frames_uncompiled"], 0)
        self.assertEqual(clip["frames_compiled"] + clip["frames_uncompiled"], FRAMES_LONG)
        self.assertEqual((first["compiles"], first["store_hits"]), (1, 0))
        self.check_second_run(source, first)

    def check_second_run(self, source: Path, first: dict) -> None:
        again = self.upscale(source, self.folder / "again.mkv", "--codec", "ffv1", executor="any")
        self.assertEqual((again["compiles"], again["store_hits"]), (0, 1))
        # The artifact is offered while the clip is still being looked at; under load a first frame may come before.
        self.assertGreaterEqual(again["clips"][0]["frames_compiled"], FRAMES_LONG - 3)
        print(f"first frame of a warm run after {again['first_frame_s']:.2f} s", flush=True)
        self.assertLess(again["first_frame_s"], 60)
        compiled = self.upscale(source, self.folder / "compiled.mkv", "--codec", "ffv1", executor="compiled")
        self.assertEqual(compiled["clips"][0]["frames_compiled"], FRAMES_LONG)
        self.assertEqual(compiled["clips"][0]["artifact_key"], first["clips"][0]["artifact_key"])
        wanted = clips.raw_frames(self.folder / "compiled.mkv")
        for name in ("any.mkv", "again.mkv"):
            self.assertLessEqual(clips.largest_difference(clips.raw_frames(self.folder / name), wanted), 1)


class LateArtifactTest(KilnCase):
    def start_with_held_compile(self, report: tuple[str, ...] = ("--json",)):
        """A clip so short that it is done while the compile child is held."""
        source = clips.make(self.folder / "in.mp4", frames=4)
        output = self.folder / "out.mp4"
        command = self.start(source, output, executor="any", report=report)
        child = processes.wait_for("the compile child",
                                   lambda: next(iter(processes.named(command.pid, "kiln_compile")), None))
        child.signal(signal.SIGSTOP)
        processes.wait_for("the output", output.exists)
        self.assertIsNone(command.poll())
        return source, output, command, child

    def test_command_joins_then_waits_and_publishes(self):
        source, output, command, child = self.start_with_held_compile()
        self.assertEqual(len(clips.frame_hashes(output)), 4)
        processes.wait_for("a word about the wait", lambda: "Finishing" in self.said(command))
        self.assertIsNone(command.poll())
        child.signal(signal.SIGCONT)
        run = self.finish(command, ARTIFACT_DEADLINE_S)
        self.assertEqual(run.code, 0, run.err)
        self.assertIn("compiled artifact", run.err)
        report = run.report()
        self.assertEqual((report["compiles"], report["clips"][0]["frames_compiled"]), (1, 0))
        self.assertGreater(report["compile_s"], 0)
        again = self.upscale(source, output, "--overwrite", executor="compiled")
        self.assertEqual((again["compiles"], again["store_hits"], again["compile_s"]), (0, 1, 0))

    def test_table_is_printed_before_the_wait(self):
        _, _, command, child = self.start_with_held_compile(report=())
        os.set_blocking(command.stdout.fileno(), False)
        printed = bytearray()

        def table() -> bool:
            with contextlib.suppress(BlockingIOError):
                printed.extend(os.read(command.stdout.fileno(), 65536))
            return b"real time" in printed

        processes.wait_for("the table", table)
        self.assertIsNone(command.poll())
        self.assertIn("compiles 0, 1 still running", printed.decode())
        processes.wait_for("a word about the wait", lambda: "Finishing" in self.said(command))
        self.assertNotIn("published", self.said(command))
        os.set_blocking(command.stdout.fileno(), True)
        child.signal(signal.SIGCONT)
        run = self.finish(command, ARTIFACT_DEADLINE_S)
        self.assertEqual((run.code, run.out), (0, ""), run.err)
        self.assertRegex(run.err.splitlines()[-1], r"artifact is published, compiled in [0-9.:]+")

    def test_two_interrupts_end_the_wait(self):
        _, output, command, child = self.start_with_held_compile()
        wanted = clips.frame_hashes(output)
        watched = processes.descendants(command.pid)
        processes.wait_for("a word about the wait", lambda: "Finishing" in self.said(command))
        self.interrupt(command)
        self.assertTrue(processes.wait_for("a word about the first interrupt", lambda: "nce more" in self.said(command)))
        self.assertIsNone(command.poll())
        self.interrupt(command)
        run = self.finish(command, 30)
        self.assertEqual(run.code, 0, run.err)
        self.assertEqual(run.report()["compiles"], 0)
        self.assertIn("artifact is left", run.err)
        self.assertEqual(clips.frame_hashes(output), wanted)
        self.assert_all_gone(self.folder, [*watched, child])


class OneCompileTest(KilnCase):
    def test_several_clips_lanes_and_lengths_share_one(self):
        sources = [clips.make(self.folder / f"clip{n}.mp4", frames=n, rate="25") for n in (7, 12, 19)]
        out = self.folder / "out"
        out.mkdir()
        self.state.mkdir(mode=0o700)
        report = self.upscale(sources, out, "--segment-frames", 5, "--lanes", 2, executor="compiled",
                              deadline_s=ARTIFACT_DEADLINE_S)
        self.assertEqual((report["compiles"], report["store_hits"], report["compile_failures"]), (1, 0, 0))
        self.assertEqual(len({clip["artifact_key"] for clip in report["clips"]}), 1)
        self.assertEqual(len(stored_libraries(self.state)), 1)
        longer = clips.make(self.folder / "longer.mp4", frames=23, rate="25")
        for lanes, threads in ((1, 1), (1, 2), (4, 1)):
            again = self.upscale(longer, self.folder / f"{lanes}-{threads}.mp4", "--lanes", lanes, "--threads-per-lane",
                                 threads, "--segment-frames", 6, executor="compiled")
            self.assertEqual((again["compiles"], again["store_hits"]), (0, 1))
            self.assertEqual(again["clips"][0]["frames_compiled"], 23)


class DamagedStoreTest(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        fixtures.copy_warm_state(self.state)
        self.source = clips.make(self.folder / "in.mp4", frames=6, rate="25")

    def render(self, name: str, **options) -> dict:
        return self.upscale(self.source, self.folder / name, "--codec", "ffv1", executor="compiled",
                            deadline_s=ARTIFACT_DEADLINE_S, **options)

    def test_flipped_bit_is_a_miss_and_is_rebuilt(self):
        good = self.render("good.mkv")
        self.assertEqual((good["compiles"], good["store_hits"]), (0, 1))
        for library in stored_libraries(self.state):
            library.chmod(0o644)
            with open(library, "r+b") as file:
                file.seek(library.stat().st_size // 2)
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 1]))
        report = self.render("again.mkv")
        self.assertEqual((report["compiles"], report["store_hits"]), (1, 0))
        quarantine = self.state / "store" / "quarantine.v1"
        self.assertTrue(list(quarantine.rglob("*")), "nothing in quarantine")
        self.assertEqual(report["clips"][0]["frame_hashes"], good["clips"][0]["frame_hashes"])
        once_more = self.render("once-more.mkv")
        self.assertEqual((once_more["compiles"], once_more["store_hits"]), (0, 1))

    def test_artifact_signed_by_another_key_is_never_loaded(self):
        other = self.folder / "other"
        other.mkdir(mode=0o700)
        shutil.copytree(self.state / "store", other / "store")
        shutil.copytree(self.state / "worker" / "compile", other / "worker" / "compile")
        report = self.upscale(self.source, self.folder / "out.mkv", state=other, executor="compiled",
                              deadline_s=ARTIFACT_DEADLINE_S)
        self.assertEqual((report["compiles"], report["store_hits"]), (1, 0))

    def test_key_that_others_may_read_is_refused(self):
        key = self.state / "worker" / "worker.key"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        key.chmod(0o644)
        self.refuse(65, [str(key), "600"], self.source, self.folder / "out.mkv", executor="any")


class WithoutCompilerTest(KilnCase):
    """Where artifacts cannot be made, frames still are."""

    def python_without_torch(self) -> Path:
        python = self.folder / "python"
        python.write_text("#!/bin/sh\nexec /usr/bin/python3 -S \"$@\"\n")
        python.chmod(0o755)
        return python

    def test_any_goes_on_uncompiled_and_compiled_says_why_not(self):
        source = clips.make(self.folder / "in.mp4", frames=3)
        python = self.python_without_torch()
        torch = Path(fixtures.PYTHON).parent.parent
        [torch] = list(torch.glob("lib/python3*/site-packages/torch"))
        environment = {**fixtures.environment(), "KILN_TORCH": str(torch)}
        environment.pop("KILN_PYTHON")
        report = self.upscale(source, self.folder / "out.mp4", "--python", python, executor="any", env=environment)
        self.assertEqual((report["clips"][0]["frames_compiled"], report["compiles"]), (0, 0))
        self.refuse(78, ["--executor compiled", str(python)], source, self.folder / "none.mp4", "--python", python,
                    executor="compiled", env=environment)


if __name__ == "__main__":
    unittest.main()
