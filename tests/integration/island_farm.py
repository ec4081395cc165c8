"""A farm on hosts that share nothing: coordinator, store and client on `hub`, a worker on each of the others, keys in between."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import clips
import fixtures
import islands
import journal_facts
import processes
from farm_case import START_DEADLINE_S, FarmCase
from kiln_case import Run

SEGMENT_FRAMES = 12
KILLS = ("lane", "worker", "store", "coordinator")
MESSAGES_PORT, STORE_PORT = 7710, 7711


class IslandFarm(FarmCase):
    """One farm for all rounds of a test."""

    workers = ("w1", "w2")

    def setUp(self) -> None:
        super().setUp()
        if reason := islands.why_impossible():
            self.skipTest(reason)
        self.places = islands.Islands(fixtures.ROOT, ["hub", *self.workers])
        self.addCleanup(self.places.close)
        for name in self.places.names:
            (self.folder / name).mkdir()
        self.hub = self.folder / "hub"
        self.farm = self.hub / "state"
        self.endpoint = f"tcp://{self.places.address('hub')}:{MESSAGES_PORT}"
        self.keys = {name: self._keygen(name) for name in ("coordinator", "client", *self.workers)}
        roles = [f"{self.keys[name]} worker {name}" for name in self.workers]
        (self.hub / "allow.txt").write_text("\n".join([*roles, f"{self.keys['client']} client ann"]) + "\n")
        self.running: dict[str, subprocess.Popen] = {}
        self.lanes_of: dict[str, int] = {}

    def _home(self, name: str) -> Path:
        return self.folder / (name if name in self.workers else "hub")

    def _keygen(self, name: str) -> str:
        run = self.run_command([str(fixtures.KILN), "keygen", str(self._home(name) / f"{name}.key")])
        self.assertEqual(run.code, 0, run.err)
        return run.out.strip()

    # ---- its processes ----

    def spawn_on(self, host: str, own: Path | None, *arguments: object) -> subprocess.Popen:
        command = self.places.command(host, own, [str(fixtures.KILN), *map(str, arguments)])
        with open(self.folder / f"stderr-{len(self.started)}", "w") as err:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True,
                                       start_new_session=True, env=fixtures.environment())
        self.started.append(process)
        return process

    def start_hub(self) -> None:
        process = self.spawn_on("hub", None, "coordinator", "--state", self.farm, "--listen", self.endpoint,
                                "--store-listen", f"{self.places.address('hub')}:{STORE_PORT}",
                                "--key", self.hub / "coordinator.key", "--allow", self.hub / "allow.txt")
        processes.wait_for("the coordinator's doors",
                           lambda: process.poll() is not None or self.notice().get("pid") == process.pid, START_DEADLINE_S)
        self.assertIsNone(process.poll(), self.said(process))
        self.running["coordinator"] = process

    def start_on(self, name: str, lanes: int) -> None:
        home = self.folder / name
        self.lanes_of[name] = lanes
        self.running[name] = self.spawn_on(
            name, home, "worker", "--coordinator", self.endpoint, "--key", home / f"{name}.key", "--coordinator-key",
            self.keys["coordinator"], "--name", name, "--state", home / "state", "--lanes", lanes, "--threads-per-lane", 1)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0, self.said(process))

    def set_lanes(self, count: int) -> None:
        """That many lanes over the workers, the first one having more."""
        shares = {name: (count + len(self.workers) - 1 - i) // len(self.workers) for i, name in enumerate(self.workers)}
        for name, lanes in shares.items():
            if name in self.running and self.lanes_of[name] == lanes:
                continue
            if name in self.running:
                self.stop(name)
            if lanes > 0:
                self.start_on(name, lanes)
        for name in self.running:
            if name != "coordinator":
                self.wait_for_worker(name)

    def kiln(self, *arguments: object, **options) -> Run:
        command = [str(fixtures.KILN), *map(str, arguments), "--coordinator", self.endpoint]
        options.setdefault("env", {**fixtures.environment(), "KILN_KEY": str(self.hub / "client.key"),
                                   "KILN_COORDINATOR_KEY": self.keys["coordinator"]})
        return self.run_command(self.places.command("hub", None, command), **options)

    # ---- what they cannot see ----

    def check_disjoint(self, source: Path) -> None:
        """Seen through the eyes of each worker: neither source, nor package, nor another one's folder."""
        for name in self.workers:
            if name not in self.running:
                continue
            eyes = Path(f"/proc/{self.running[name].pid}/root")
            self.assertTrue((eyes / str(self.folder / name / "state").lstrip("/")).is_dir())
            others = [self.folder / other for other in self.places.names if other != name]
            for hidden in (source, fixtures.package(self.network), *others):
                self.assertFalse((eyes / str(hidden).lstrip("/")).exists(), f"{name} sees {hidden}")

    # ---- rounds ----

    def kill(self, what: str, chance: random.Random) -> None:
        """-9; lanes and the store are started again by their parents, the others here."""
        if what == "store":
            pid = self.running["coordinator"].pid
            [victim] = processes.wait_for("the store", lambda: processes.named(pid, "cache", "serve"))
            return victim.signal(signal.SIGKILL)
        worker = chance.choice([name for name in self.running if name != "coordinator"])
        if what == "lane":
            pid = self.running[worker].pid
            found = processes.wait_for(f"a lane of {worker}", lambda: processes.named(pid, "kiln-lane", "--channel"))
            return chance.choice(found).signal(signal.SIGKILL)
        name = "coordinator" if what == "coordinator" else worker
        victim = self.running[name]
        victim.kill()
        victim.wait()
        if name == "coordinator":
            self.start_hub()
        else:
            self.start_on(name, self.lanes_of[name])

    def disturbed_job(self, source: Path, frames: int, chance: random.Random) -> tuple[str, list[str]]:
        """A job in which everything is killed once, in any order, each at a random part of the work; and what was done."""
        job = self.submit(source, executor="compiled", segment_frames=SEGMENT_FRAMES)
        victims = chance.sample(KILLS, len(KILLS))
        parts = sorted(chance.uniform(0.02, 0.8) for _ in victims)
        story = []
        for victim, part in zip(victims, parts, strict=True):
            done = self._wait_for_frames(job, int(part * frames))
            time.sleep(chance.uniform(0.0, 0.3))  # anywhere between two results, not at one
            self.kill(victim, chance)
            story.append(f"{victim} at frame {done}")
        return job, story

    def _wait_for_frames(self, job: str, count: int) -> int:
        def enough() -> int | None:
            status = self.ask("status", job)
            self.assertNotIn(status["state"], ("failed", "cancelled"), status["reason"])
            return max(status["frames_done"], 1) if status["frames_done"] >= count else None

        return processes.wait_for(f"{count} frames", enough, 180)

    def decoded(self, job: str) -> list[str]:
        output = self.hub / "out.mkv"
        run = self.kiln("fetch", job, "-o", output, "--overwrite")
        self.assertEqual(run.code, 0, run.err)
        return clips.frame_hashes(output)

    def facts(self) -> list[dict]:
        return journal_facts.read(self.farm / "journal", fixtures.BINARY)
