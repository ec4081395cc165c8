"""Sources that are missing, no video, damaged or refused: which code, and one line that says what and what to do."""

from __future__ import annotations

import os
import shutil
import unittest

import clips
import fixtures
from kiln_case import KilnCase


class BadSourceTest(KilnCase):
    def refuse_source(self, code: int, words, source, *flags: object) -> str:
        return self.refuse(code, [str(source), *([words] if isinstance(words, str) else words)], source,
                           self.folder / "out.mp4", *flags)

    def test_missing(self):
        self.refuse_source(66, "no such file", self.folder / "none.mp4")

    def test_names_with_a_line_break_and_names_that_are_no_utf8(self):
        good = clips.make(self.folder / "good.mkv", frames=2)
        self.refuse(66, ["miss?b.mkv", "no such file"], self.folder / "miss\nb.mkv", self.folder / "out.mp4")
        broken = self.folder / "a\nb.mkv"
        shutil.copy(good, broken)
        self.refuse(65, ["a?b.mkv", "line break", "rename"], broken, self.folder / "out.mp4")
        self.refuse(2, ["o?t.mp4", "line break"], good, self.folder / "o\nt.mp4")
        self.refuse(2, [str(self.folder / "50%.png"), "%06d"], good, self.folder / "50%.png")
        odd = self.folder / os.fsdecode(b"caf\xe9.mkv")
        good.rename(odd)
        self.upscale(odd, self.folder / "out.mp4")
        self.assertEqual(len(clips.frame_hashes(self.folder / "out.mp4")), 2)

    def test_one_of_several_is_missing(self):
        good = clips.make(self.folder / "good.mp4", frames=2)
        out = self.folder / "out"
        out.mkdir()
        arguments = self.arguments([good, self.folder / "none.mp4"], out)
        self.refused(self.run_command(arguments), 66, "none.mp4")
        self.assertEqual(list(out.iterdir()), [])

    def test_empty_file(self):
        source = self.folder / "empty.mp4"
        source.write_bytes(b"")
        self.refuse_source(65, "empty", source)

    def test_text(self):
        for name in ("notes.txt", "notes.mp4"):
            source = self.folder / name
            source.write_text("This is a text and no video at all.\n" * 40)
            self.refuse_source(65, [], source)

    def test_random_bytes(self):
        source = self.folder / "noise.mkv"
        source.write_bytes(bytes((n * n * 31 + n // 7) % 251 for n in range(50_000)))
        self.refuse_source(65, [], source)

    def test_only_sound(self):
        source = self.folder / "sound.m4a"
        clips.ffmpeg("-f", "lavfi", "-t", "1", "-i", "sine", source)
        self.refuse_source(65, "no video", source)

    def test_folder_without_images(self):
        source = self.folder / "nothing"
        source.mkdir()
        self.refuse(66, "no images", source, self.folder / "out.mp4")

    def test_recording_that_was_never_finished(self):
        whole = clips.make(self.folder / "whole.mp4", frames=30)
        source = self.folder / "cut.mp4"
        source.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
        self.refuse_source(65, "truncated", source)

    def test_file_whose_end_is_missing(self):
        whole = clips.make(self.folder / "whole.mp4", frames=60,
                           encoder=("-c:v", "libx264", "-qp", "12", "-movflags", "+faststart"))
        source = self.folder / "cut.mp4"
        source.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
        self.refuse_source(65, "truncated", source)

    def test_no_frames(self):
        whole = clips.make(self.folder / "whole.mkv", frames=5)
        source = self.folder / "none.mkv"
        clips.ffmpeg("-i", whole, "-c", "copy", "-frames:v", "0", source)
        self.refuse_source(65, [], source)

    def test_interlaced(self):
        source = self.folder / "fields.mkv"
        clips.ffmpeg(*clips.pictures(16, size="64x48", rate="50"), "-vf", "tinterlace=interleave_top,fieldorder=tff",
                     "-frames:v", "8", "-pix_fmt", "yuv420p", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "1",
                     source)
        self.refuse_source(65, ["interlaced", "--deinterlace"], source)
        report = self.upscale(source, self.folder / "out.mp4", "--deinterlace")
        self.assertEqual(report["clips"][0]["frames"], 8)
        self.assertEqual(len(clips.frame_hashes(self.folder / "out.mp4")), 8)

    def test_rate_that_is_none(self):
        images = self.folder / "images"
        images.mkdir()
        clips.ffmpeg(*clips.pictures(2), "-frames:v", "2", images / "%03d.png")
        for rate in ("fast", "0", "25/0", "-3"):
            self.refuse(2, ["frame rate", rate], images, self.folder / "out.mp4", f"--frame-rate={rate}")


class BadCommandLineTest(KilnCase):
    def test_wrong_flags(self):
        cases = (["run", "upscale", "in.mp4"], ["run", "upscale", "in.mp4", "-o", "out.mp4", "--model", "p", "--lames", "2"],
                 ["run", "upscale", "in.mp4", "-o", "out.mp4", "--model", "p", "--lanes", "many"],
                 ["run", "upscale", "in.mp4", "-o", "out.mp4", "--model", "p", "--executor", "fast"], ["run", "downscale"],
                 ["walk"])
        for arguments in cases:
            with self.subTest(arguments=arguments):
                self.refused(self.run_command([str(fixtures.KILN), *arguments, "--json"]), 2)

    def test_without_json_stdout_stays_empty(self):
        run = self.run_command([str(fixtures.KILN), "run", "upscale", "none.mp4", "-o", "out.mp4", "--model",
                                str(fixtures.package("double")), "--state", str(self.state)])
        self.assertEqual((run.code, run.out), (66, ""))
        self.assertEqual(len(run.err.splitlines()), 1)

    def test_configuration_with_unknown_key_wrong_type_and_wrong_value(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        cases = (("[run]\nlanes = 1\nsegmnt_frames = 4\n", [":3", "segmnt_frames", "segment_frames"]),
                 ("[run]\nlanes = \"two\"\n", [":2", "lanes"]), ("[run]\nlanes = 0\n", [":2", "lanes", "1 to 256"]),
                 ("[rum]\n", [":1", "rum", "run"]), ("[run\n", [":1"]))
        for text, words in cases:
            with self.subTest(text=text):
                config = self.folder / "kiln.toml"
                config.write_text(text)
                self.refuse(78, [str(config), *words], source, self.folder / "out.mp4", "--config", config)

    def test_configuration_that_is_not_there(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        self.refuse(78, "none.toml", source, self.folder / "out.mp4", "--config", self.folder / "none.toml")


if __name__ == "__main__":
    unittest.main()
