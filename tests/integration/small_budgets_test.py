"""A short form of tests/bench/small_budgets.py: jobs of random sizes on lanes of random budgets."""

from __future__ import annotations

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import small_budgets  # noqa: E402

FARMS = ((2, 3), (4, 4096))  # KiB of the two lanes: nothing fits; little fits into one of them, and most into the other
JOBS_PER_FARM = 5
SEED = 1


class SmallBudgetsTest(unittest.TestCase):
    def test_each_job_finishes_or_is_refused_before_it_starts(self):
        budgets = small_budgets.Budgets(random.Random(SEED))
        for caps_kib in FARMS:
            budgets.run_farm(JOBS_PER_FARM, caps_kib)
        self.assertEqual(budgets.faults, [], f"seed {SEED}")
        self.assertEqual(sum(budgets.failures.values()), 0, budgets.failures)
        self.assertEqual(budgets.done + budgets.refused, len(FARMS) * JOBS_PER_FARM)
        self.assertGreater(budgets.done, 0)
        self.assertGreater(budgets.refused, 0)
        self.assertGreater(budgets.left_out, 0)


if __name__ == "__main__":
    unittest.main()
