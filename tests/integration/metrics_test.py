"""Every metric that the manual, the dashboard and the alerts name is exported by the programs as they run; and what
they export is in the manual."""

from __future__ import annotations

import json
import re
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import fixtures
import processes
from farm_case import FarmCase, free_port

NAME = re.compile(r"\bkiln_[a-z0-9_]+\b")
SOURCE = Path(fixtures.SOURCE)


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)


OF_CARDS = {"kiln_worker_card_bytes"}  # a worker without cards has none


def exported(url: str) -> set[str]:
    return {line.split()[2] for line in fetch(url + "/metrics")[1].splitlines() if line.startswith("# TYPE ")}


class MetricsTest(FarmCase):
    def test_names_in_manual_dashboard_and_alerts_are_those_of_the_programs(self) -> None:
        door = f"127.0.0.1:{free_port()}"
        self.start_coordinator()
        self.start_worker("w1", "--http", door)
        worker = processes.wait_for("the worker's door", lambda: exported(f"http://{door}"), 60)
        processes.wait_for("the worker's welcome", lambda: "kiln_worker_connected 1" in fetch(f"http://{door}/metrics")[1], 60)
        self.assertEqual(fetch(f"http://{door}/healthz")[0], 200)
        coordinator = processes.wait_for("metrics", lambda: exported(self.notice()["http"]), 60)
        store = exported(self.notice()["store"])
        there = worker | coordinator | store | OF_CARDS
        manual = (SOURCE / "docs/operating.md").read_text(encoding="utf-8")
        for text in (manual, (SOURCE / "docs/bounds.md").read_text(encoding="utf-8"),
                     (SOURCE / "configs/kiln-alerts.yml").read_text(encoding="utf-8"),
                     (SOURCE / "configs/grafana/kiln.json").read_text(encoding="utf-8")):
            named = {name for name in NAME.findall(text) if not name.endswith("_")}  # else it is how names begin
            self.assertEqual(named - there, set(), "named, and exported by nobody")
        self.assertEqual((worker | coordinator) - set(NAME.findall(manual)), set(), "exported, and not in the manual")
        ready = processes.wait_for("a coordinator that is ready", lambda: fetch(self.notice()["http"] + "/readyz")[0] == 200, 60)
        self.assertTrue(ready)

    def test_the_dashboard_is_one(self) -> None:
        board = json.loads((SOURCE / "configs/grafana/kiln.json").read_text(encoding="utf-8"))
        self.assertTrue(all(panel["targets"] for panel in board["panels"]))
        self.assertEqual(len({panel["id"] for panel in board["panels"]}), len(board["panels"]))


if __name__ == "__main__":
    unittest.main()
