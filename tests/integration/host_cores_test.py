"""What segments take of a host's cores, from the lanes' ffmpegs to what people are told."""

from __future__ import annotations

import re
import unittest

import clips
import fixtures
import processes
from farm_case import JOB_DEADLINE_S, FarmCase


class HostCoresTest(FarmCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_coordinator()
        self.spawn("worker", "--coordinator", self.endpoint, "--state", self.folder / "w1", "--name", "w1", "--lanes", 2,
                   "--threads-per-lane", 1)
        self.wait_for_worker("w1")

    def share(self, job: str) -> dict[str, float]:
        """Of all lanes, a frame."""
        lanes = self.ask("status", job)["lanes"]
        frames = sum(lane["frames"] for lane in lanes)
        return {stage: sum(lane[f"{stage}_core_s"] for lane in lanes) / frames for stage in ("decode", "model", "encode")}

    def test_a_slow_encoder_shows(self) -> None:
        source = clips.make(self.folder / "a.mp4", frames=240, size="128x72")
        slow = self.submit(source, codec="hevc", preset="slow", segment_frames=24)

        def told() -> str | None:
            lines = self.ask("explain", slow)["lines"]
            self.assertNotEqual(self.ask("status", slow)["state"], "done", "it ended before anybody could look")
            return next((line for line in lines if re.search(r"^w1: .* cores", line)), None)

        line = processes.wait_for("what the lanes take of their host", told, JOB_DEADLINE_S)
        self.assertRegex(line, r"^w1: (its lanes take \d+\.\d of its \d+ cores|\d+\.\d of \d+ host cores go to)")
        self.finish_job(slow)
        fast = self.submit(source)
        self.finish_job(fast)
        of_slow, of_fast = self.share(slow), self.share(fast)
        for stage, seconds in (*of_slow.items(), *of_fast.items()):
            self.assertGreater(seconds, 0.0, stage)
        self.assertGreater(of_slow["encode"], 3 * of_fast["encode"], f"{of_slow} {of_fast}")


if __name__ == "__main__":
    unittest.main()
