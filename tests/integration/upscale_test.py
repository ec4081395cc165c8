"""A clip in, an upscaled clip out: every frame once, at its time, and everything else that the source holds."""

from __future__ import annotations

import contextlib
import os
import time
import unittest
from fractions import Fraction

import clips
import processes
from kiln_case import KilnCase


class TimesTest(KilnCase):
    def check_times(self, source, output) -> None:
        wanted, got = clips.times(source), clips.times(output)
        self.assertEqual(len(got), len(wanted))
        allowed = max(clips.tick(source), clips.tick(output))
        worst = max(abs(a - b) for a, b in zip(wanted, got, strict=True))
        self.assertLessEqual(worst, allowed)

    def test_ntsc_rate_over_short_segments(self):
        source = clips.make(self.folder / "in.mp4", frames=31, sound=True)
        output = self.folder / "out.mp4"
        report = self.upscale(source, output, "--segment-frames", 7)
        self.check_times(source, output)
        [clip] = report["clips"]
        self.assertEqual((clip["frames"], clip["segments"], clip["segments_resumed"]), (31, 5, 0))
        self.assertEqual((clip["width"], clip["height"]), (128, 72))
        self.assertEqual(len(clip["frame_hashes"]), 31)
        self.assertEqual(len(set(clip["frame_hashes"])), 31)
        video = clips.streams(output, "video")[0]
        self.assertEqual((video["width"], video["height"], video["codec_name"]), (128, 72, "h264"))
        self.assertEqual(len(clips.frame_hashes(output)), 31)

    def test_variable_rate(self):
        even = clips.make(self.folder / "even.mkv", frames=24, rate="25")
        source = self.folder / "in.mkv"
        clips.ffmpeg("-i", even, "-vf", "setpts='(N+floor(N/3)*2+floor(N/7))/25/TB'", "-fps_mode", "passthrough",
                     "-c:v", "libx264", "-qp", "12", source)
        gaps = {b - a for a, b in zip(clips.times(source), clips.times(source)[1:], strict=False)}
        self.assertGreater(len(gaps), 2)
        for name in ("out.mkv", "out.mp4"):
            self.upscale(source, self.folder / name, "--segment-frames", 5)
            self.check_times(source, self.folder / name)

    def test_frames_that_refer_across_groups(self):
        source = clips.make(self.folder / "in.mp4", frames=40,
                            encoder=("-c:v", "libx264", "-x264-params", "open-gop=1:keyint=9:bframes=4:b-pyramid=2"))
        whole, cut = self.folder / "whole.mkv", self.folder / "cut.mkv"
        self.upscale(source, whole, "--codec", "ffv1", "--segment-frames", 100)
        self.upscale(source, cut, "--codec", "ffv1", "--segment-frames", 7)
        self.check_times(source, cut)
        self.assertEqual(clips.frame_hashes(cut), clips.frame_hashes(whole))

    def test_sound_that_starts_later_keeps_its_offset(self):
        video = clips.make(self.folder / "video.mkv", frames=30, rate="25")
        source = self.folder / "in.mkv"
        clips.ffmpeg("-i", video, "-itsoffset", "0.3", "-f", "lavfi", "-t", "0.8", "-i", "sine", "-map", "0:v", "-map",
                     "1:a", "-c:v", "copy", "-c:a", "flac", source)
        for name in ("out.mkv", "out.mp4"):
            output = self.folder / name
            self.upscale(source, output, "--segment-frames", 8)
            offset = clips.times(output, "a:0")[0] - clips.times(output)[0]
            wanted = clips.times(source, "a:0")[0] - clips.times(source)[0]
            self.assertLessEqual(abs(offset - wanted), Fraction(1, 500))
            self.check_times(source, output)

    def test_opus_stays_in_place_from_copy_to_copy(self):
        source = self.folder / "in.mkv"
        clips.ffmpeg(*clips.pictures(12, rate="25"), "-f", "lavfi", "-t", "0.5", "-i", "sine", "-map", "0:v", "-map", "1:a",
                     "-frames:v", "12", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "libopus", source)
        wanted = clips.times(source, "a:0")
        for name in ("once.mkv", "twice.mkv"):
            output = self.folder / name
            self.upscale(source, output, "--segment-frames", 8)
            self.check_times(source, output)
            worst = max(abs(a - b) for a, b in zip(wanted, clips.times(output, "a:0"), strict=True))
            self.assertLessEqual(worst, Fraction(1, 500))
            source = output


class EverythingElseTest(KilnCase):
    def make_rich(self):
        (self.folder / "meta.txt").write_text(
            ";FFMETADATA1\ntitle=A small clip\ncomment=of tests\n"
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n"
            "[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Two\n")
        (self.folder / "text.srt").write_text("1\n00:00:00,100 --> 00:00:00,600\nHello\n")
        (self.folder / "font.ttf").write_bytes(b"no real font, but an attachment")
        source = self.folder / "in.mkv"
        clips.ffmpeg(*clips.pictures(25, rate="25"), "-f", "lavfi", "-t", "1", "-i", "sine=frequency=300", "-f", "lavfi",
                     "-t", "1", "-i", "sine=frequency=500", "-i", self.folder / "text.srt", "-i",
                     self.folder / "meta.txt", "-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata",
                     "4", "-map_chapters", "4", "-frames:v", "25", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "flac",
                     "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-attach",
                     self.folder / "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font", source)
        return source

    def test_sound_subtitles_chapters_attachments_and_metadata(self):
        source, output = self.make_rich(), self.folder / "out.mkv"
        self.upscale(source, output, "--segment-frames", 10)
        self.assertEqual([s["codec_type"] for s in clips.streams(output)],
                         [s["codec_type"] for s in clips.streams(source)])
        self.assertEqual([s["tags"]["language"] for s in clips.streams(output, "audio")], ["eng", "deu"])
        facts = clips.ffprobe(output, "-show_chapters", "-show_format")
        self.assertEqual([c["tags"]["title"] for c in facts["chapters"]], ["One", "Two"])
        self.assertEqual(facts["format"]["tags"]["title"], "A small clip")
        for stream in ("a:0", "a:1"):
            sums = [clips.ffmpeg("-i", path, "-map", f"0:{stream}", "-f", "md5", "-") for path in (source, output)]
            self.assertEqual(sums[0], sums[1])

    def test_colour_tags_and_shape_of_pixels(self):
        source, output = self.folder / "in.mp4", self.folder / "out.mp4"
        clips.ffmpeg(*clips.pictures(8), "-frames:v", "8", "-vf", "setsar=4/3", "-pix_fmt", "yuv420p", "-c:v", "libx264",
                     "-color_range", "pc", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc",
                     "iec61966-2-1", "-chroma_sample_location", "center", source)
        self.upscale(source, output)
        wanted, got = (clips.streams(path, "video")[0] for path in (source, output))
        for tag in ("color_range", "color_space", "color_primaries", "color_transfer", "chroma_location",
                    "sample_aspect_ratio"):
            self.assertEqual(got.get(tag), wanted.get(tag), tag)

    def test_rotation(self):
        plain = clips.make(self.folder / "plain.mp4", frames=6)
        source = self.folder / "in.mp4"
        clips.ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", "rotate=90", source)
        for output in (self.folder / "out.mp4", self.folder / "out.mkv"):
            self.upscale(source, output)
            turned = [[side.get("rotation") for side in clips.streams(path, "video")[0].get("side_data_list", [])]
                      for path in (source, output)]
            self.assertTrue(turned[0])
            self.assertEqual(turned[1], turned[0])
            self.assertEqual(clips.streams(output, "video")[0]["width"], 128)

    def test_no_sound_and_one_frame(self):
        source = clips.make(self.folder / "in.mp4", frames=1)
        report = self.upscale(source, self.folder / "out.mp4")
        self.assertEqual(report["clips"][0]["frames"], 1)
        self.assertEqual(len(clips.frame_hashes(self.folder / "out.mp4")), 1)
        self.assertEqual(clips.streams(self.folder / "out.mp4", "audio"), [])

    def test_ten_bits_stay_ten_bits(self):
        for pixel_format in ("yuv420p10le", "yuv422p10le", "yuv444p"):
            source = clips.make(self.folder / f"{pixel_format}.mkv", frames=5, pixel_format=pixel_format)
            output = self.folder / f"{pixel_format}-out.mkv"
            self.upscale(source, output)
            self.assertEqual(clips.streams(output, "video")[0]["pix_fmt"], pixel_format)


class SizesTest(KilnCase):
    def test_smaller_scale_than_the_model(self):
        source = clips.make(self.folder / "in.mp4", frames=5)
        self.upscale(source, self.folder / "out.mp4", "--scale", "1.5")
        video = clips.streams(self.folder / "out.mp4", "video")[0]
        self.assertEqual((video["width"], video["height"]), (96, 54))

    def test_larger_scale_than_the_model_is_refused(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        self.refuse(2, ["scale", "2"], source, self.folder / "out.mp4", "--scale", "3")

    def test_encoder_of_a_card_is_refused_where_there_is_none(self):
        source = clips.make(self.folder / "in.mkv", frames=2)
        wishes = ("--encoder", "hardware")
        self.refuse(1, ["192x128", "not 128x72"], source, self.folder / "out.mkv", *wishes)
        large = clips.make(self.folder / "large.mkv", frames=2, size="128x96")
        self.refuse(1, ['encoder = "hardware"', "lane 0 has no h264_nvenc"], large, self.folder / "out.mkv", *wishes)

    def test_odd_source(self):
        source = clips.make(self.folder / "in.mkv", frames=4, encoder=("-vf", "crop=53:31:exact=1", "-c:v", "ffv1"))
        self.upscale(source, self.folder / "out.mp4")
        video = clips.streams(self.folder / "out.mp4", "video")[0]
        self.assertEqual((video["width"], video["height"]), (106, 62))

    def test_odd_output_is_refused_with_what_works(self):
        source = clips.make(self.folder / "in.mkv", frames=4, encoder=("-vf", "crop=53:31:exact=1", "-c:v", "ffv1"))
        line = self.refuse(65, ["even", "ffv1"], source, self.folder / "out.mkv", "--scale", "1")
        self.assertIn("yuv444p", line)
        self.upscale(source, self.folder / "out.mkv", "--scale", "1", "--codec", "ffv1")
        self.assertEqual(clips.streams(self.folder / "out.mkv", "video")[0]["width"], 53)


class ReportedSecondsTest(KilnCase):
    def open_for_writing(self, pipe):
        """Once somebody reads: the command is at its configuration, the first thing that it looks at."""
        def attempt():
            with contextlib.suppress(OSError):
                return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")

        return processes.wait_for("the command to read its configuration", attempt)

    def test_count_from_the_start_of_the_command(self):
        source = clips.make(self.folder / "in.mp4", frames=5)
        pipe = self.folder / "kiln.toml"
        os.mkfifo(pipe)
        command = self.start(source, self.folder / "out.mp4", "--config", pipe)
        configuration = self.open_for_writing(pipe)
        opened = time.monotonic()
        for n in range(2):  # longer than all that comes after the configuration
            self.upscale(source, self.folder / f"other-{n}.mp4", state=self.folder / "other")
        configuration.close()
        processes.wait_for("a lane", lambda: self.lanes(command))
        before = time.monotonic() - opened
        report = self.finish(command).report()
        self.assertGreater(report["first_frame_s"], before)
        self.assertGreaterEqual(report["wall_s"], report["first_frame_s"])
        self.assertAlmostEqual(report["frames_per_second"], 5 / report["wall_s"], places=6)


class SeveralInputsTest(KilnCase):
    def test_into_a_folder(self):
        (self.folder / "a").mkdir()
        (self.folder / "b").mkdir()
        sources = [clips.make(self.folder / "a" / "one.mp4", frames=6, sound=True),
                   clips.make(self.folder / "b" / "one.mp4", frames=9),
                   clips.make(self.folder / "two.mkv", frames=3, size="80x40")]
        out = self.folder / "out"
        out.mkdir()
        report = self.upscale(sources, out, "--segment-frames", 4, "--lanes", 2)
        by_source = {clip["source"]: clip for clip in report["clips"]}
        self.assertEqual([by_source[str(s)]["frames"] for s in sources], [6, 9, 3])
        self.assertEqual(sorted(path.name for path in out.iterdir()), ["one_x2.mp4", "one_x2_2.mp4", "two_x2.mkv"])
        for source in sources:
            output = by_source[str(source)]["output"]
            self.assertEqual(len(clips.frame_hashes(output)), by_source[str(source)]["frames"])
        self.assertEqual(sum(lane["frames"] for lane in report["lanes"]), 18)

    def test_names_with_a_percent_sign_are_no_sequences(self):
        names = ("100% real", "50%", "100%d", "take%03d")
        sources = [clips.make(self.folder / f"{name}.mkv", frames=2) for name in names]
        out = self.folder / "out"
        out.mkdir()
        self.upscale(sources, out)
        self.assertEqual(sorted(path.name for path in out.iterdir()), sorted(f"{name}_x2.mkv" for name in names))
        self.upscale(sources[3], self.folder / "shot%03d.mkv")
        for output in (*out.iterdir(), self.folder / "shot%03d.mkv"):
            self.assertEqual(len(clips.frame_hashes(f"file:{output}")), 2)

    def test_need_a_folder(self):
        sources = [clips.make(self.folder / f"{n}.mp4", frames=2) for n in range(2)]
        self.refuse(73, "folder", sources, self.folder / "out.mp4")


if __name__ == "__main__":
    unittest.main()
