"""Two workers that share neither network nor files with anybody, while everything is killed. tests/bench/killed_farm.py does
fifty rounds of it."""

from __future__ import annotations

import random
import unittest

import clips
import fixtures
import journal_facts
from island_farm import IslandFarm

FRAMES = 240
ROUNDS = 2
SEED = 20


class KilledIslandsTest(IslandFarm):
    def test_frames_are_those_of_one_lane_and_nothing_is_done_twice(self):
        chance = random.Random(SEED)
        source = clips.make(self.hub / "in.mp4", frames=FRAMES, rate="25")
        fixtures.copy_warm_farm(self.farm, self.folder / "w1" / "state")
        self.start_hub()
        self.set_lanes(1)
        self.check_disjoint(source)
        job = self.submit(source, executor="compiled", segment_frames=0)
        self.finish_job(job)
        jobs, wanted = [job], self.decoded(job)
        self.assertEqual(len(wanted), FRAMES)
        for lanes in (2, 4)[:ROUNDS]:
            self.set_lanes(lanes)
            self.check_disjoint(source)
            job, story = self.disturbed_job(source, FRAMES, chance)
            self.finish_job(job)
            self.assertEqual(self.decoded(job), wanted, f"seed {SEED}: {story}")
            jobs.append(job)
        facts = self.facts()
        self.assertEqual(journal_facts.given_again(facts), [], f"seed {SEED}")
        hashes = [journal_facts.frame_hashes(facts, job) for job in jobs]
        self.assertEqual(len(hashes[0]), FRAMES)
        self.assertEqual(hashes[1:], hashes[:1] * ROUNDS)


class JournalFactsTest(unittest.TestCase):
    """The rule that the journal is read by, on journals that break it."""

    def assigned(self, task: int, attempt: int = 1, first: int = 0) -> dict:
        return {"kind": "assigned", "task_kind": journal_facts.SEGMENT, "task": task, "attempt": attempt, "job": "a",
                "clip": 0, "first": first, "last": first + 8}

    def accepted(self, task: int, attempt: int = 1, first: int = 0) -> dict:
        return {"kind": "result_accepted", "task": task, "attempt": attempt, "first": first, "last": first + 8}

    def test_what_is_given_out_again_is_seen(self):
        ended = {"kind": "attempt_ended", "task": 1, "attempt": 1}
        good = [self.assigned(1), ended, self.assigned(1, 2), self.accepted(1, 2), self.assigned(2, first=8)]
        self.assertEqual(journal_facts.given_again(good), [])
        for bad in (self.assigned(1, 3), self.accepted(1, 2), self.assigned(3, first=4), self.assigned(2, 2, first=8)):
            self.assertTrue(journal_facts.given_again([*good, bad]), bad)


if __name__ == "__main__":
    unittest.main()
