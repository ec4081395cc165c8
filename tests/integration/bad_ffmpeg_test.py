"""ffmpeg that is missing, too old, or dies in the middle of a segment."""

from __future__ import annotations

import shutil
import unittest
from pathlib import Path

import clips
import fixtures
from kiln_case import KilnCase

FRAMES = 60


class BadFfmpegTest(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25")
        self.output = self.folder / "out.mkv"

    def wrapper(self, script: str) -> Path:
        """A program named ffmpeg around the real one, with the real ffprobe beside it."""
        tools = self.folder / "tools"
        tools.mkdir()
        program = tools / "ffmpeg"
        program.write_text(f"#!/bin/bash\nreal={shutil.which('ffmpeg')}\nfolder={tools}\n{script}\nexec \"$real\" \"$@\"\n")
        program.chmod(0o755)
        (tools / "ffprobe").symlink_to(shutil.which("ffprobe"))
        return program

    def test_named_one_is_not_there(self):
        self.refuse(78, ["/nowhere/ffmpeg"], self.source, self.output, "--ffmpeg", "/nowhere/ffmpeg")

    def test_none_in_the_path(self):
        environment = {**fixtures.environment(), "PATH": str(self.folder)}
        self.refuse(78, ["ffmpeg", "install"], self.source, self.output, env=environment)

    def test_no_ffprobe_beside_it(self):
        program = self.wrapper("")
        (program.parent / "ffprobe").unlink()
        self.refuse(78, "ffprobe", self.source, self.output, "--ffmpeg", program)

    def test_too_old(self):
        program = self.wrapper('[[ " $* " == *" -version "* ]] && { echo "ffmpeg version 4.2.7"; exit 0; }')
        self.refuse(78, ["4.2.7", "5.1"], self.source, self.output, "--ffmpeg", program)

    def test_not_ffmpeg_at_all(self):
        self.refuse(78, "/bin/true", self.source, self.output, "--ffmpeg", "/bin/true")

    def test_decoder_dies_in_mid_segment(self):
        program = self.wrapper('if [[ "${*: -1}" == pipe:1 ]]; then "$real" "$@" | head -c 60000; kill -KILL $$; fi')
        line = self.refuse(1, [str(self.source), "frame"], self.source, self.output, "--ffmpeg", program)
        self.assertIn("signal 9", line)

    def test_encoder_dies_in_mid_segment(self):
        program = self.wrapper('if [[ "${*: -1}" == */segment ]]; then head -c 300000 > "$folder/eaten"; '
                               'echo "the encoder fell over" >&2; exit 9; fi')
        self.refuse(1, ["encod", "the encoder fell over"], self.source, self.output, "--ffmpeg", program)

    def test_join_dies(self):
        program = self.wrapper('if [[ "${*: -1}" == */output/* ]]; then target="${*: -1}"; echo half > "${target#file:}"; '
                               'echo "the muxer fell over" >&2; exit 9; fi')
        self.refuse(1, ["join", "the muxer fell over"], self.source, self.output, "--ffmpeg", program)

    def test_encoder_that_dies_once_costs_one_try(self):
        wanted = self.upscale(self.source, self.folder / "whole.mkv", "--codec", "ffv1")
        program = self.wrapper('if [[ "${*: -1}" == */segment && ! -e "$folder/died" ]]; then touch "$folder/died"; '
                               'head -c 300000 > /dev/null; exit 9; fi')
        report = self.upscale(self.source, self.output, "--codec", "ffv1", "--segment-frames", 20, "--ffmpeg", program)
        self.assertTrue((program.parent / "died").exists())
        self.assertEqual(report["clips"][0]["frame_hashes"], wanted["clips"][0]["frame_hashes"])
        self.assertEqual(clips.frame_hashes(self.output), clips.frame_hashes(self.folder / "whole.mkv"))
        self.assertEqual(report["lanes_lost"], 0)


if __name__ == "__main__":
    unittest.main()
