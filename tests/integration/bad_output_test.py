"""Outputs that exist or cannot be written, and disks that fill up while the job runs."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import clips
from kiln_case import KilnCase

IS_ROOT = os.geteuid() == 0
IN_NAMESPACE = "KILN_TEST_IN_NAMESPACE"


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def go_where_mounting_is_allowed() -> None:
    """Who may not mount here may do so in name spaces of his own: there this program is started again."""
    with tempfile.TemporaryDirectory() as folder:
        if mount("-t", "tmpfs", "tmpfs", folder):
            subprocess.run(["umount", folder], check=True)
            return
    inside = ["unshare", "--map-root-user", "--mount"]
    allowed = subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0
    if not allowed or IN_NAMESPACE in os.environ:
        return
    os.execvpe(inside[0], [*inside, sys.executable, *sys.argv], {**os.environ, IN_NAMESPACE: "1"})


class BadOutputTest(KilnCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if IS_ROOT:
            go_where_mounting_is_allowed()

    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=3, sound=True)

    def test_existing_output_is_kept_until_it_may_be_replaced(self):
        output = self.folder / "out.mp4"
        output.write_text("mine")
        run = self.run_command(self.arguments(self.source, output))
        self.refused(run, 73, str(output), "exists", "--overwrite")
        self.assertEqual(output.read_text(), "mine")
        self.upscale(self.source, output, "--overwrite")
        self.assertEqual(len(clips.frame_hashes(output)), 3)

    def test_source_is_never_the_output(self):
        before = self.source.read_bytes()
        link = self.folder / "link.mp4"
        link.symlink_to(self.source)
        for output in (self.source, self.folder / "." / "in.mp4", link):
            run = self.run_command(self.arguments(self.source, output, "--overwrite"))
            self.refused(run, 73, "source")
            self.assertEqual(self.source.read_bytes(), before)

    def test_names_as_long_as_files_may_have(self):
        video = self.folder / ("v" * 251 + ".mkv")
        self.upscale(self.source, video)
        self.assertEqual(len(clips.frame_hashes(video)), 3)
        out = self.folder / "out"
        out.mkdir()
        self.upscale(self.source, out / ("n" * 240 + "%03d.png"))
        self.assertEqual(sorted(path.name for path in out.iterdir()), ["n" * 240 + f"00{n}.png" for n in (1, 2, 3)])
        longer = self.folder / ("v" * 252 + ".mkv")
        self.refused(self.run_command(self.arguments(self.source, longer)), 73, str(longer), "255", "shorter")

    def test_folder_that_is_not_there(self):
        self.refuse(73, [str(self.folder / "none"), "no such folder"], self.source, self.folder / "none" / "out.mp4")

    def test_folder_that_is_a_file(self):
        (self.folder / "file").write_text("")
        self.refuse(73, str(self.folder / "file"), self.source, self.folder / "file" / "out.mp4")

    def test_output_that_is_a_folder(self):
        folder = self.folder / "out.mp4"
        folder.mkdir()
        self.refused(self.run_command(self.arguments(self.source, folder)), 73, "folder")

    def closed_folder(self) -> Path:
        folder = self.folder / "closed"
        folder.mkdir()
        if IS_ROOT:  # to whom permissions say nothing
            if not mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)):
                self.skipTest("this machine does not let us mount")
            self.addCleanup(subprocess.run, ["umount", str(folder)], check=False)
        else:
            folder.chmod(0o555)
        return folder

    def test_folder_that_may_not_be_written(self):
        folder = self.closed_folder()
        self.refuse(73, str(folder), self.source, folder / "out.mp4")

    def test_state_folder_that_may_not_be_written(self):
        folder = self.closed_folder()
        for state in (folder, folder / "state"):
            self.refuse(73, [f"state folder {state}", "--state"], self.source, self.folder / "out.mp4", state=state)

    def test_state_folder_that_is_a_file(self):
        self.state.write_text("")
        self.refuse(73, str(self.state), self.source, self.folder / "out.mp4")


class FullDiskTest(KilnCase):
    frames = 90
    flags = ("--codec", "ffv1", "--segment-frames", "15")

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        go_where_mounting_is_allowed()

    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=self.frames, rate="25")
        self.output = self.folder / "out.mkv"

    @contextlib.contextmanager
    def small_disk(self, folder: Path, kib: int):
        folder.mkdir()
        if not mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)):
            self.skipTest("this machine does not let us mount a small disk")
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=False)

    def sizes(self) -> tuple[int, int]:
        """KiB that the segments and the output take."""
        self.upscale(self.source, self.folder / "whole.mkv", *self.flags)
        whole = (self.folder / "whole.mkv").stat().st_size // 1024
        return whole, whole // (self.frames // 15)

    def test_state_fills_up_and_the_job_goes_on_when_there_is_room(self):
        whole, segment = self.sizes()
        state = self.folder / "small"
        with self.small_disk(state, whole // 2 + segment):
            arguments = self.arguments(self.source, self.output, "--executor", "uncompiled", *self.flags, state=state)
            self.refused(self.run_command(arguments), 74, "No space left")
            self.assert_nothing_at(self.output)
            # Segments and result lie in the store and, while they are joined, with the worker.
            self.assertTrue(mount("-o", f"remount,size={6 * whole + 4096}k", str(state)))
            report = self.upscale(self.source, self.output, *self.flags, state=state)
            self.assertGreater(report["clips"][0]["segments_resumed"], 0)
        self.assertEqual(clips.frame_hashes(self.output), clips.frame_hashes(self.folder / "whole.mkv"))

    def test_output_fills_up_and_the_job_goes_on_when_there_is_room(self):
        whole, _ = self.sizes()
        small = self.folder / "small"
        output = small / "out.mkv"
        with self.small_disk(small, whole // 2):
            self.refuse(74, "No space left", self.source, output, *self.flags)
            self.assertTrue(mount("-o", f"remount,size={4 * whole}k", str(small)))
            report = self.upscale(self.source, output, *self.flags)
            self.assertEqual(report["clips"][0]["segments_resumed"], report["clips"][0]["segments"])
            self.assertEqual(len(clips.frame_hashes(output)), self.frames)

    def test_file_that_may_not_grow(self):
        """What a quota does, without being root."""
        whole, segment = self.sizes()
        limit = (whole + segment) // 2 * 1024
        arguments = self.arguments(self.source, self.output, "--executor", "uncompiled", *self.flags)
        run = self.run_command(arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.refused(run, 74)
        self.assert_nothing_at(self.output)
        report = self.upscale(self.source, self.output, *self.flags)
        self.assertEqual(report["clips"][0]["segments_resumed"], report["clips"][0]["segments"])


if __name__ == "__main__":
    unittest.main()
