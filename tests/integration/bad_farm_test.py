"""What people get wrong with a farm's keys, addresses and disks: one clear line, an exit code, and no harm to anybody else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import unittest
from pathlib import Path

import clips
import fixtures
import processes
from farm_case import FarmCase, free_port
from journal_facts import SYSTEM_PYTHON
from kiln_case import Run

# Hands in a job whose package was never sent: the client's own code, but for the upload.
LACKING = """
import hashlib, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import kiln_client as client
send = client.Store.upload
def keep(self, path):
    if path.suffix == ".mkv":
        return send(self, path)
    data = path.read_bytes()
    return client.pb.BlobRef(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
client.Store.upload = keep
print(client.Farm(sys.argv[2]).submit(Path(sys.argv[3]), [Path(sys.argv[4])], "uncompiled", "ffv1"))
"""
JOURNAL_DISK = "256k"
JOBS_MAX = 200  # that fit into it, by far


class WrongKeyTest(FarmCase):
    """A farm with keys, whose one good worker goes on rendering."""

    def setUp(self) -> None:
        super().setUp()
        self.keys = {}
        for name in ("coordinator", "w1", "ann"):
            run = self.run_command([str(fixtures.KILN), "keygen", str(self.folder / f"{name}.key")])
            self.keys[name] = run.out.strip()
        (self.folder / "allow.txt").write_text(f"{self.keys['w1']} worker w1\n{self.keys['ann']} client ann\n")
        self.start_coordinator("--key", self.folder / "coordinator.key", "--allow", self.folder / "allow.txt")

    def as_(self, key: str) -> list[object]:
        return ["--key", self.folder / f"{key}.key", "--coordinator-key", self.keys["coordinator"]]

    def ask(self, *arguments: object) -> dict:
        return super().ask(*arguments, *self.as_("ann"))

    def keyed_worker(self, key: str, name: str, state: str) -> subprocess.Popen:
        return self.spawn("worker", "--coordinator", self.endpoint, "--state", self.folder / state, "--name", name, "--lanes",
                          1, "--threads-per-lane", 1, *self.as_(key))

    def refused_worker(self, process: subprocess.Popen, code: int, *words: str) -> None:
        self.assertEqual(process.wait(60), code, self.said(process))
        [line] = [line for line in self.said(process).splitlines() if line.startswith("kiln: ")]
        for word in words:
            self.assertIn(word, line)

    def test_wrong_keys_are_refused_and_the_right_one_renders(self):
        good = self.keyed_worker("w1", "w1", "w1")
        self.wait_for_worker("w1")
        second = self.keyed_worker("w1", "w1", "other")  # a copy of the key: it may be the first one's former self, for a while
        self.refused_worker(self.keyed_worker("ann", "ann", "client"), 5, "ann", "no worker")
        self.refused_worker(self.keyed_worker("w1", "w2", "renamed"), 5, "w1", "--name")
        self.refused(self.kiln("jobs", "--json", *self.as_("w1")), 5, "w1", "worker's")
        job = self.submit(clips.make(self.folder / "in.mp4", frames=30, rate="25"))
        self.finish_job(job)
        self.refused_worker(second, 75, "w1", "connected already")
        self.assertIsNone(good.poll(), self.said(good))
        self.assertTrue(self.ask("workers")["workers"][0]["connected"])

    def watch(self, job: str) -> dict:
        return self.kiln("watch", job, "--json", *self.as_("ann")).report()


class WrongAddressTest(FarmCase):
    def coordinator(self, *flags: object) -> Run:
        return self.run_command([str(fixtures.KILN), "coordinator", "--state", str(self.folder / "second"), "--json",
                                 *map(str, flags)])

    def taken(self, run: Run, *words: str) -> None:
        """The log may tell more; what it ends with is one line."""
        self.assertNotIn(run.code, (0, 1), run.err)
        lines = [line for line in run.err.splitlines() if line.startswith("kiln: ")]
        self.assertEqual(len(lines), 1, run.err)
        for word in words:
            self.assertIn(word, lines[0])

    def test_ports_in_use_are_said_and_the_farm_that_has_them_goes_on(self):
        self.start_coordinator()
        self.start_worker()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            self.taken(self.coordinator("--listen", self.endpoint), self.endpoint.rpartition(":")[2], "in use")
            self.taken(self.coordinator("--http", taken), taken, "another program")
            self.taken(self.coordinator("--store-listen", taken), taken, "another program")
        self.refused(self.run_command([str(fixtures.KILN), "coordinator", "--state", str(self.farm), "--json"]), 75, "journal")
        self.finish_job(self.submit(clips.make(self.folder / "in.mp4", frames=10, rate="25")))

    def test_worker_waits_for_a_coordinator_that_is_not_there(self):
        worker = self.start_worker()
        processes.wait_for("it to say so", lambda: self.endpoint in self.said(worker) or worker.poll() is not None, 60)
        self.assertIsNone(worker.poll(), self.said(worker))
        self.start_coordinator()
        self.wait_for_worker()
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(worker.wait(30), 0, self.said(worker))
        lonely = self.spawn("worker", "--coordinator", f"tcp://127.0.0.1:{free_port()}", "--state", self.folder / "w2", "--name",
                            "w2")
        processes.wait_for("it to say so", lambda: "127.0.0.1" in self.said(lonely) or lonely.poll() is not None, 60)
        lonely.send_signal(signal.SIGTERM)
        self.assertEqual(lonely.wait(30), 0, self.said(lonely))


class LackingPackageTest(FarmCase):
    def test_package_that_the_store_lacks_fails_its_job_and_no_other(self):
        self.start_coordinator()
        self.start_worker()
        source = clips.make(self.folder / "in.mkv", frames=10, rate="25")
        run = self.run_command([SYSTEM_PYTHON, "-B", "-c", LACKING, str(fixtures.BINARY / "python"), self.endpoint,
                                str(fixtures.package(self.network)), str(source)], env=os.environ)
        self.assertEqual(run.code, 0, run.err)
        other = self.submit(source)
        failed = self.watch(run.out.strip())
        self.assertEqual(failed["state"], "failed")
        self.assertIn("store", failed["reason"])
        self.assertNotIn("\n", failed["reason"])
        self.finish_job(other)


class FullJournalTest(FarmCase):
    def test_full_disk_ends_the_coordinator_and_what_was_acknowledged_is_there_afterwards(self):
        journal = self.farm / "journal"
        journal.mkdir(parents=True)
        self.mount(journal)
        first = self.start_coordinator()
        source = clips.make(self.folder / "in.mp4", frames=4, rate="25")
        acknowledged = []
        for _ in range(JOBS_MAX):
            run = self.kiln("submit", self.job_file(source, paused=True), "--json")
            if run.code != 0:
                break
            acknowledged.append(run.report()["job"])
        self.assertEqual(first.wait(30), 74, self.said(first))
        [line] = [line for line in self.said(first).splitlines() if line.startswith("kiln: ")]
        self.assertIn("No space left", line)
        self.assertGreater(len(acknowledged), 3)
        subprocess.run(["mount", "-o", "remount,size=64m", str(journal)], check=True)
        self.start_coordinator()
        self.start_worker()
        kept = [job["job"] for job in self.ask("jobs")["jobs"]]
        self.assertLessEqual(set(acknowledged), set(kept))
        self.ask("resume", acknowledged[-1])
        self.finish_job(acknowledged[-1])

    def mount(self, folder: Path) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={JOURNAL_DISK}", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"no file system can be mounted: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=False)


if __name__ == "__main__":
    unittest.main()
