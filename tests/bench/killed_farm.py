"""A farm on hosts that share neither network nor files, of which everything is killed with -9, round after round.

    sudo build/release/venv/bin/python tests/bench/killed_farm.py [--rounds 50] [--seed 1]

Two workers in network namespaces of their own, with folders that nobody else sees, keys and an allow-list. The rounds have 1,
2 and 4 lanes in turn. In each a job is submitted, and one lane, one worker, the store and the coordinator are killed, in any
order, each at a random moment of the work. Asserted: the job is done; its decoded frames, and the hashes of the planes that
went to the encoders, are those of an undisturbed job on a single lane; and the journal says that no segment was given out, or
came back, once its result was there. Prints a line for each round, and JSON at the end."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
os.environ.setdefault("KILN_SOURCE_DIR", str(HERE.parents[1]))

import clips  # noqa: E402
import journal_facts  # noqa: E402
from island_farm import IslandFarm  # noqa: E402

LANES = (1, 2, 4)


class KilledFarm(IslandFarm):
    options: argparse.Namespace

    def test_rounds(self):
        chance = random.Random(self.options.seed)
        source = clips.make(self.hub / "in.mp4", frames=self.options.frames, rate="25")
        self.start_hub()
        self.set_lanes(1)
        self.check_disjoint(source)
        reference = self.submit(source, executor="compiled")
        self.finish_job(reference)
        wanted = self.decoded(reference)
        self.assertEqual(len(wanted), self.options.frames)
        jobs = [reference]
        for number in range(1, self.options.rounds + 1):
            lanes = LANES[number % len(LANES)]
            began = time.monotonic()
            self.set_lanes(lanes)
            self.check_disjoint(source)
            job, story = self.disturbed_job(source, self.options.frames, chance)
            self.finish_job(job)
            self.assertEqual(self.decoded(job), wanted, f"round {number}, seed {self.options.seed}: {story}")
            jobs.append(job)
            print(f"round {number}: {lanes} lanes, {'; '.join(story)}; {time.monotonic() - began:.0f} s", flush=True)
        self.judge(jobs)

    def judge(self, jobs: list[str]) -> None:
        facts = self.facts()
        self.assertEqual(journal_facts.given_again(facts), [])
        hashes = [journal_facts.frame_hashes(facts, job) for job in jobs]
        self.assertEqual(len(hashes[0]), self.options.frames)
        for job, found in zip(jobs, hashes, strict=True):
            self.assertEqual(found, hashes[0], job)
        kinds = [fact["kind"] for fact in facts]
        print(json.dumps({"seed": self.options.seed, "rounds": self.options.rounds, "kills": 4 * self.options.rounds,
                          "facts": len(facts), "assignments": kinds.count("assigned"),
                          "results": kinds.count("result_accepted"), "lost_or_failed": kinds.count("attempt_ended"),
                          "given_again": 0, "frames_that_differ": 0}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=300)
    KilledFarm.options = parser.parse_args()
    print(f"seed {KilledFarm.options.seed}", flush=True)
    result = unittest.TextTestRunner().run(KilledFarm("test_rounds"))
    return 0 if result.wasSuccessful() and not result.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
