"""Each codec and container, and image sequences on both ends."""

from __future__ import annotations

import unittest

import clips
from kiln_case import KilnCase

# codec, container, what ffprobe calls it, pixel format of the output for an 8-bit 4:2:0 source
CODECS = (
    ("h264", "mp4", "h264", "yuv420p"),
    ("hevc", "mkv", "hevc", "yuv420p"),
    ("av1", "mp4", "av1", "yuv420p"),
    ("ffv1", "mkv", "ffv1", "yuv420p"),
    ("prores", "mov", "prores", "yuv422p10le"),
    ("png", "mkv", "png", "rgb24"),
)


class CodecTest(KilnCase):
    def test_each_codec_holds_every_frame(self):
        source = clips.make(self.folder / "in.mp4", frames=11, size="64x48", sound=True)
        for codec, container, name, pixel_format in CODECS:
            with self.subTest(codec=codec):
                output = self.folder / f"{codec}.{container}"
                self.upscale(source, output, "--codec", codec, "--segment-frames", 4)
                video = clips.streams(output, "video")[0]
                self.assertEqual((video["codec_name"], video["pix_fmt"]), (name, pixel_format))
                self.assertEqual(len(clips.frame_hashes(output)), 11)
                self.assertEqual(len(clips.streams(output, "audio")), 1)

    def test_ffv1_holds_exactly_what_went_in(self):
        source = clips.make(self.folder / "in.mp4", frames=6)
        report = self.upscale(source, self.folder / "a.mkv", "--codec", "ffv1")
        again = self.upscale(source, self.folder / "b.mov", "--codec", "ffv1", "--segment-frames", 2)
        self.assertEqual(report["clips"][0]["frame_hashes"], again["clips"][0]["frame_hashes"])
        self.assertEqual(clips.frame_hashes(self.folder / "a.mkv"), clips.frame_hashes(self.folder / "b.mov"))

    def test_unknown_codec(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        run = self.run_command(self.arguments(source, self.folder / "out.mp4", "--codec", "mpeg7"))
        self.assertEqual(run.code, 2, run.err)
        for word in ("--codec", "mpeg7", "h264", "ffv1"):
            self.assertIn(word, run.err)

    def test_codec_that_the_container_does_not_hold(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        self.refuse(65, ["prores", "mp4", "mov"], source, self.folder / "out.mp4", "--codec", "prores")

    def test_pixel_format_that_is_not_known_or_not_held(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        self.refuse(2, ["pixel format", "yuv999"], source, self.folder / "out.mp4", "--pixel-format", "yuv999")
        self.refuse(65, ["av1", "yuv444p", "what works"], source, self.folder / "out.mp4", "--codec", "av1",
                    "--pixel-format", "yuv444p")

    def test_size_that_the_codec_does_not_hold(self):
        source = clips.make(self.folder / "in.mkv", frames=2, size="24x20")
        self.refuse(65, ["hevc", "64", "what works"], source, self.folder / "out.mkv", "--codec", "hevc")

    def test_output_of_unknown_kind(self):
        source = clips.make(self.folder / "in.mp4", frames=2)
        self.refuse(2, [".avi", ".mp4", ".mkv"], source, self.folder / "out.avi")


class HdrTest(KilnCase):
    MASTERING = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    ENCODER = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=error:{MASTERING}", "-color_trc",
               "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc")

    def described(self, path) -> list[dict]:
        frame = clips.ffprobe(path, "-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames")["frames"][0]
        kinds = ("Content light level metadata", "Mastering display metadata")
        return [side for kind in kinds for side in frame["side_data_list"] if side["side_data_type"] == kind]

    def test_mastering_display_and_light_level_reach_the_output(self):
        source = clips.make(self.folder / "in.mkv", frames=6, pixel_format="yuv420p10le", encoder=self.ENCODER)
        self.assertEqual(len(self.described(source)), 2)
        output = self.folder / "out.mp4"
        report = self.upscale(source, output, "--codec", "hevc", "--segment-frames", 3)
        self.assertEqual(report["clips"][0]["warnings"], [])
        self.assertEqual(self.described(output), self.described(source))
        self.assertEqual(clips.streams(output, "video")[0]["color_transfer"], "smpte2084")

    def test_format_without_a_place_for_it_is_a_warning(self):
        source = clips.make(self.folder / "in.mkv", frames=3, pixel_format="yuv420p10le", encoder=self.ENCODER)
        report = self.upscale(source, self.folder / "out.nut", "--codec", "ffv1")
        self.assertIn("HDR10", " ".join(report["clips"][0]["warnings"]))


class ImagesTest(KilnCase):
    def make_images(self, count: int):
        images = self.folder / "images"
        images.mkdir()
        clips.ffmpeg(*clips.pictures(count), "-frames:v", str(count), "-pix_fmt", "rgb24", images / "shot_%04d.png")
        return images

    def test_images_to_images(self):
        images = self.make_images(7)
        out = self.folder / "out"
        out.mkdir()
        report = self.upscale(images / "shot_%04d.png", out / "large_%03d.png", "--segment-frames", 3)
        self.assertEqual(report["clips"][0]["frames"], 7)
        self.assertEqual(sorted(path.name for path in out.iterdir()), [f"large_{n:03}.png" for n in range(1, 8)])
        video = clips.streams(out / "large_004.png", "video")[0]
        self.assertEqual((video["width"], video["height"], video["pix_fmt"]), (128, 72, "rgb24"))

    def test_images_to_video_at_the_rate_that_was_named(self):
        images = self.make_images(7)
        for source in (images / "shot_%04d.png", images):
            output = self.folder / "out.mkv"
            self.upscale(source, output, "--frame-rate", "24000/1001", "--codec", "ffv1", "--overwrite")
            times = clips.times(output)
            self.assertEqual(len(times), 7)
            self.assertAlmostEqual(float(times[6] - times[0]), 6 * 1001 / 24000, delta=0.002)

    def test_video_to_images(self):
        source = clips.make(self.folder / "in.mp4", frames=5, sound=True)
        out = self.folder / "out"
        out.mkdir()
        report = self.upscale(source, out / "%05d.png", "--segment-frames", 2)
        self.assertEqual(len(list(out.iterdir())), 5)
        self.assertIn("sound", " ".join(report["clips"][0]["warnings"]))
        self.refuse_existing(source, out / "%05d.png")

    def refuse_existing(self, source, pattern) -> None:
        run = self.run_command(self.arguments(source, pattern))
        self.refused(run, 73, "exists")

    def test_missing_number_is_named(self):
        images = self.make_images(5)
        (images / "shot_0003.png").unlink()
        self.refuse(65, ["number 3", "missing"], images / "shot_%04d.png", self.folder / "out.mkv")

    def test_no_images_there(self):
        self.refuse(66, "no images", self.folder / "none_%03d.png", self.folder / "out.mkv")

    def test_image_of_another_size(self):
        images = self.make_images(4)
        clips.ffmpeg(*clips.pictures(1, size="80x40"), "-frames:v", "1", "-pix_fmt", "rgb24", images / "shot_0003.png")
        self.refuse(65, ["size", "frame 2"], images / "shot_%04d.png", self.folder / "out.mkv")


if __name__ == "__main__":
    unittest.main()
