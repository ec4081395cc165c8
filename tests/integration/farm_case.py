"""The base of the tests of a farm: coordinator, store and workers as the processes that a user starts."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
from pathlib import Path

import fixtures
import processes
from kiln_case import KilnCase, Run

START_DEADLINE_S = 60
JOB_DEADLINE_S = 240


def free_port() -> int:
    """One that the system gives nobody by itself: a port of its choice may be another program's before ours has it."""
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, max(given, 12_000)), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class FarmCase(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        self.farm = self.folder / "coordinator"
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"

    # ---- the farm's processes ----

    def spawn(self, *arguments: object, **options) -> subprocess.Popen:
        return self.start_command([str(fixtures.KILN), *map(str, arguments)], **options)

    def start_coordinator(self, *flags: object) -> subprocess.Popen:
        """Another one on the same state folder is the same farm at the same address."""
        process = self.spawn("coordinator", "--state", self.farm, "--listen", self.endpoint, *flags)
        processes.wait_for("the coordinator's doors",
                           lambda: process.poll() is not None or self.notice().get("pid") == process.pid, START_DEADLINE_S)
        self.assertIsNone(process.poll(), self.said(process))
        return process

    def notice(self) -> dict:
        """What the coordinator says of itself in its state folder."""
        try:
            return json.loads((self.farm / "coordinator.json").read_text())
        except FileNotFoundError:
            return {}

    def start_worker(self, name: str = "w1", *flags: object) -> subprocess.Popen:
        return self.spawn("worker", "--coordinator", self.endpoint, "--state", self.folder / name, "--name", name,
                          "--lanes", 1, "--threads-per-lane", 1, *flags)

    def wait_for_worker(self, name: str = "w1") -> None:
        def there() -> bool:
            return any(worker["worker"] == name and worker["connected"] for worker in self.ask("workers")["workers"])

        processes.wait_for(f"worker {name}", there, START_DEADLINE_S)

    # ---- its clients ----

    def kiln(self, *arguments: object, **options) -> Run:
        return self.run_command([str(fixtures.KILN), *map(str, arguments), "--state", str(self.farm)], **options)

    def ask(self, *arguments: object) -> dict:
        run = self.kiln(*arguments, "--json")
        self.assertEqual(run.code, 0, f"{arguments}: {run.out}{run.err}")
        return run.report()

    def job_file(self, *sources: Path, **keys: object) -> Path:
        """A job in FFV1, whose frames can be compared; a clip of another executor or codec says so."""
        settings = {"model": str(fixtures.package(self.network)), "executor": "uncompiled", "codec": "ffv1", **keys}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        for source in sources:
            lines += ["[[clip]]", f"source = {json.dumps(str(source))}"]
        path = self.folder / "job.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def submit(self, *sources: Path, **keys: object) -> str:
        return self.ask("submit", self.job_file(*sources, **keys))["job"]

    def watch(self, job: str) -> dict:
        run = self.kiln("watch", job, "--json", deadline_s=JOB_DEADLINE_S)
        self.assertTrue(run.out, run.err)
        return run.report()

    def finish_job(self, job: str) -> dict:
        status = self.watch(job)
        self.assertEqual(status["state"], "done", status["reason"])
        return status

    def wait_for_segments(self, job: str, count: int) -> dict:
        """The job's status once that many segments are done, and not all."""
        def enough() -> dict | None:
            status = self.ask("status", job)
            self.assertNotIn(status["state"], ("done", "failed", "cancelled"), "it ended before it could be disturbed")
            return status if sum(len(clip["segments"]) for clip in status["clips"]) >= count else None

        return processes.wait_for(f"{count} segments", enough, JOB_DEADLINE_S)
