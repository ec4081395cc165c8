"""A lane holds a few frames at a time, however long the clip is. tests/bench/lane_memory.py measures it for minutes."""

from __future__ import annotations

import unittest

import clips
import fixtures
import processes
from kiln_case import KilnCase

FRAMES = 300
GROWTH_MAX = 1.10


class LaneMemoryTest(KilnCase):
    def test_resident_set_does_not_grow_with_the_clip(self):
        fixtures.copy_warm_state(self.state)
        source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25")
        command = self.start(source, self.folder / "out.mkv", "--codec", "ffv1", "--segment-frames", 12,
                             executor="compiled")
        self.wait_for_part(command)
        [lane] = self.lanes(command)
        samples: list[int] = []  # the largest seen up to each finished segment

        def ended() -> bool:
            done = len(list((self.state / "store" / "cas.v1").glob("*/*")))  # a segment is a blob
            resident = lane.resident_bytes()
            while len(samples) <= done:
                samples.append(0)
            samples[done] = max(samples[done], resident)
            return command.poll() is not None

        processes.wait_for("the command to end", ended, 120)
        self.assertEqual(self.finish(command).code, 0)
        seen = [sample for sample in samples if sample > 0]
        self.assertGreater(len(seen), 8, "too few samples")
        early, late = max(seen[: len(seen) // 2]), max(seen[len(seen) // 2 :])
        self.assertLess(late, early * GROWTH_MAX, f"{early >> 20} MiB in the first half, {late >> 20} MiB in the second")


if __name__ == "__main__":
    unittest.main()
