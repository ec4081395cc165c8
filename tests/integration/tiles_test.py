"""Frames that are rendered in tiles: tiles follow the setting, and neither lanes nor a later limit change them."""

from __future__ import annotations

import unittest

import clips
import fixtures
from interruption_test import Interrupted
from kiln_case import KilnCase

FRAMES = 60
SEGMENT_FRAMES = 10
SMALL_MIB = 2  # the network of these tests needs several times as much for a whole frame


class TiledFramesTest(Interrupted):
    flags = ("--codec", "ffv1", "--segment-frames", SEGMENT_FRAMES, "--threads-per-lane", 1)

    def setUp(self) -> None:
        KilnCase.setUp(self)
        self.source = clips.make(self.folder / "in.mkv", frames=FRAMES, size="320x180", rate="25",
                                 encoder=("-c:v", "ffv1"))
        self.output = self.folder / "out.mkv"

    @staticmethod
    def with_mib(mib: int) -> dict[str, str]:
        return {**fixtures.environment(), "KILN_ACTIVATION_MIB": str(mib)}

    def render(self, name: str, mib: int, *flags: object) -> dict:
        report = self.upscale(self.source, self.folder / name, *self.flags, *flags, env=self.with_mib(mib))
        return report["clips"][0]

    def test_lanes_change_neither_tiles_nor_bits(self):
        one = self.render("one.mkv", SMALL_MIB, "--lanes", 1)
        two = self.render("two.mkv", SMALL_MIB, "--lanes", 2)
        self.assertGreater(one["tiles"], 1)
        for what in ("tiles", "tile_width", "tile_height", "frame_hashes"):
            self.assertEqual(two[what], one[what], what)
        whole = self.render("whole.mkv", 1024)
        self.assertEqual((whole["tiles"], whole["tile_width"], whole["tile_height"]), (1, 320, 180))
        difference = clips.largest_difference(clips.raw_frames(self.folder / "one.mkv"),
                                              clips.raw_frames(self.folder / "whole.mkv"))
        self.assertLessEqual(difference, 1)

    def test_resumed_job_keeps_tiles_and_segments_under_another_limit(self):
        command = self.start(self.source, self.output, *self.flags, env=self.with_mib(SMALL_MIB))
        self.wait_for_record(command)
        self.kill(command)
        kept = len(self.records())
        again = self.render("out.mkv", 1024, "--lanes", 2)
        self.assertEqual(again["segments_resumed"], kept)
        wanted = self.render("undisturbed.mkv", SMALL_MIB)
        self.assertGreater(again["tiles"], 1)
        for what in ("tiles", "tile_width", "tile_height", "frame_hashes"):
            self.assertEqual(again[what], wanted[what], what)


if __name__ == "__main__":
    unittest.main()
