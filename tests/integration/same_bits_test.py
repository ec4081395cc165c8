"""With --executor compiled the same bits come out for any number of lanes and any cutting into segments."""

from __future__ import annotations

import unittest

import clips
import fixtures
from kiln_case import KilnCase

FRAMES = 17
# lanes, frames of a segment. Those of the longest first: it is what the others are compared with.
CUTS = ((1, 100), (1, 1), (2, 5), (4, 7), (2, 1))


class SameBits(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        fixtures.copy_warm_state(self.state)
        self.source = clips.make(self.folder / "in.mkv", frames=FRAMES, encoder=("-c:v", "ffv1"))

    def render(self, lanes: int, segment_frames: int, *flags, executor: str = "compiled"):
        output = self.folder / f"{executor}-{lanes}-{segment_frames}.mkv"
        report = self.upscale(self.source, output, "--codec", "ffv1", "--lanes", lanes, "--threads-per-lane", 1,
                              "--segment-frames", segment_frames, *flags, executor=executor)
        return report, output

    def check_cuts(self) -> None:
        whole, decoded = None, None
        for lanes, segment_frames in CUTS:
            report, output = self.render(lanes, segment_frames)
            [clip] = report["clips"]
            self.assertEqual((report["compiles"], clip["frames_compiled"]), (0, FRAMES))
            self.assertEqual(clip["segments"], -(-FRAMES // segment_frames))
            if whole is None:
                whole, decoded = clip["frame_hashes"], clips.frame_hashes(output)
                self.assertEqual(len(set(whole)), FRAMES)
            self.assertEqual(clip["frame_hashes"], whole, f"{lanes} lanes, {segment_frames} frames")
            self.assertEqual(clips.frame_hashes(output), decoded, f"{lanes} lanes, {segment_frames} frames")

    def check_executors(self, sample: str = "B") -> None:
        """Uncompiled frames are one code value away at most."""
        _, compiled = self.render(1, 100)
        _, uncompiled = self.render(1, 100, executor="uncompiled")
        difference = clips.largest_difference(clips.raw_frames(compiled), clips.raw_frames(uncompiled), sample)
        self.assertLessEqual(difference, 1)

    def check_ten_bit_executors(self) -> None:
        """A code value is a quarter as large, and the allowance still one."""
        pixel_format = "yuv420p10le"
        self.source = clips.make(self.folder / "ten.mkv", frames=FRAMES, pixel_format=pixel_format,
                                 encoder=("-c:v", "ffv1"))
        self.check_executors(sample="H")
        for path in self.folder.glob("*compiled-*.mkv"):
            self.assertEqual(clips.streams(path, "video")[0]["pix_fmt"], pixel_format)


class SpatialNetworkTest(SameBits):
    def test_lanes_and_segments_change_nothing(self):
        self.check_cuts()

    def test_uncompiled_frames_are_one_code_value_away_at_most(self):
        self.check_executors()

    def test_uncompiled_ten_bit_frames_are_one_code_value_away_at_most(self):
        self.check_ten_bit_executors()


class TemporalNetworkTest(SameBits):
    network = "three_frames"

    def test_lanes_and_segments_change_nothing(self):
        self.check_cuts()

    def test_uncompiled_frames_are_one_code_value_away_at_most(self):
        self.check_executors()

    def test_uncompiled_ten_bit_frames_are_one_code_value_away_at_most(self):
        self.check_ten_bit_executors()

    def test_wrong_neighbours_would_be_seen(self):
        """What the comparison rests on: without its last frame, the frame before it comes out another."""
        report, _ = self.render(1, 100, executor="uncompiled")
        shorter = self.folder / "shorter.mkv"
        clips.ffmpeg("-i", self.source, "-frames:v", str(FRAMES - 1), "-c:v", "copy", shorter)
        other = self.upscale(shorter, self.folder / "shorter-out.mkv", "--codec", "ffv1", "--threads-per-lane", 1)
        whole, cut = (r["clips"][0]["frame_hashes"] for r in (report, other))
        self.assertEqual(cut[:-1], whole[: FRAMES - 2])
        self.assertNotEqual(cut[-1], whole[FRAMES - 2])


if __name__ == "__main__":
    unittest.main()
