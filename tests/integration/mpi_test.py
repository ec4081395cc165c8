"""`mpirun -n N kiln mpi`: real ranks of a real Open MPI, which become a farm for one job."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import time
import unittest
import urllib.request
from pathlib import Path
from unittest import mock

import clips
import fixtures
import islands
import processes
from farm_case import FarmCase
from kiln_case import Run

FRAMES = 40
LONG_FRAMES = 160
SEGMENT_FRAMES = 12
END_DEADLINE_S = 90
IDLE_WINDOW_S = 1.5
IDLE_WINDOWS = 3
IDLE_SHARE_MAX = 0.02  # of one core, for all processes of the launch together
# A worker that is started again under its name is heard when the coordinator has given the killed one up.
SHORT_SILENCE = "[farm]\nworker_silence_ms = 4000\n"
LIBRARY = fixtures.KILN.with_name("libkiln_mpi.so")


@unittest.skipUnless(shutil.which("mpirun") and LIBRARY.exists(), "there is no Open MPI here")
class MpiCase(FarmCase):
    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "out"
        self.out.mkdir()
        self.config = self.folder / "kiln.toml"
        self.config.write_text(SHORT_SILENCE)

    def mpirun(self, ranks: int, job: Path, *flags: object, launcher: tuple[str, ...] = ()) -> list[str]:
        return ["mpirun", "--allow-run-as-root", "--oversubscribe", *launcher, "-n", str(ranks), str(fixtures.KILN), "--config",
                str(self.config), "mpi", "--job", str(job), "--state", str(self.farm), "-o", str(self.out), *map(str, flags)]

    def launch(self, ranks: int, job: Path, *flags: object) -> subprocess.Popen:
        return self.start_command(self.mpirun(ranks, job, *flags))

    def metric(self, name: str) -> float:
        """What the coordinator counts; 0 while it cannot be asked."""
        try:
            with urllib.request.urlopen(self.notice()["http"] + "/metrics", timeout=20) as answer:
                found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        except (OSError, KeyError):
            return 0.0
        return float(found.group(1)) if found else 0.0

    def wait_for_metric(self, launch: subprocess.Popen, name: str, least: float) -> None:
        processes.wait_for(f"{name} {least}", lambda: launch.poll() is not None or self.metric(name) >= least, END_DEADLINE_S)
        self.assertIsNone(launch.poll(), self.said(launch))

    def workers(self, launch: subprocess.Popen) -> list[processes.Process]:
        return processes.named(launch.pid, "kiln", " worker ", "--coordinator")

    def ended(self, launch: subprocess.Popen, code: int) -> Run:
        run = self.finish(launch, END_DEADLINE_S)
        self.assertEqual(run.code, code, run.err)
        self.assert_all_gone(self.folder)
        return run

    def check_frames(self, source: Path) -> None:
        alone = self.folder / "alone.mkv"
        self.upscale(source, alone, "--codec", "ffv1", "--threads-per-lane", 1)
        self.assertEqual(clips.frame_hashes(self.out / f"{source.stem}_up.mkv"), clips.frame_hashes(alone))


class MpiTest(MpiCase):
    def test_job_gives_the_frames_of_kiln_run(self):
        source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25")
        launch = self.launch(3, self.job_file(source, segment_frames=SEGMENT_FRAMES), "--json", "--", "--pool", "night")
        status = self.ended(launch, 0).report()
        self.assertEqual([status["state"], status["frames_done"]], ["done", FRAMES])
        self.check_frames(source)
        self.assertEqual([path.name for path in self.farm.rglob("*") if "secret" in path.name or path.suffix == ".key"],
                         ["url.key"] + ["worker.key"] * len(list((self.farm / "workers").iterdir())))

    def test_failed_job_is_the_exit_code_of_mpirun(self):
        bad = self.folder / "bad.mp4"
        bad.write_bytes(b"no video at all" * 1000)
        run = self.ended(self.launch(1, self.job_file(bad)), 1)  # rank 0 works too when it is alone
        self.assertIn("bad.mp4", run.out)
        self.assertEqual(list(self.out.iterdir()), [])

    def test_what_is_wrong_with_the_job_file_is_said_before_anything_is_started(self):
        run = self.ended(self.launch(2, self.folder / "none.toml"), 66)
        self.assertIn("none.toml", run.err)
        self.assertFalse(self.farm.exists())

    def test_ranks_beyond_the_cards_are_refused_before_anything_is_started(self):
        job = self.job_file(clips.make(self.folder / "in.mp4", frames=4, rate="25"))
        driver = fixtures.BINARY / "tests" / "fake_nvml_new"
        with mock.patch.dict(os.environ, {"LD_LIBRARY_PATH": str(driver), "FAKE_NVML_CARDS": "1"}):
            run = self.ended(self.launch(3, job, "--device", "cuda"), 3)
        self.assertIn("no card is left for rank 2: on ", run.err)
        self.assertIn("are 2 workers, and they see 1 card; start a rank for each card", run.err)
        self.assertFalse(self.farm.exists())

    def test_coordinator_that_cannot_be_started_is_one_value_on_stdout(self):
        self.start_coordinator()  # it has the state folder
        job = self.job_file(clips.make(self.folder / "in.mp4", frames=4, rate="25"))
        run = self.finish(self.launch(1, job, "--json"), END_DEADLINE_S)
        error = json.loads(run.out)["error"]
        self.assertEqual([run.code, error["exit_code"]], [75, 75], run.err)
        self.assertEqual(error["message"], "the coordinator ended with exit code 75")

    def test_killed_worker_below_its_rank_is_started_again_and_the_job_finishes(self):
        source = clips.make(self.folder / "in.mp4", frames=LONG_FRAMES, rate="25")
        launch = self.launch(3, self.job_file(source, segment_frames=SEGMENT_FRAMES))
        self.wait_for_metric(launch, "kiln_results_total", 3)
        killed = self.workers(launch)[0]  # the rank's child: without the rank's own process mpirun ends the launch
        killed.signal(signal.SIGKILL)
        run = self.ended(launch, 0)
        self.assertIn("killed by signal 9", run.err)
        self.check_frames(source)


def recovery() -> tuple[str, ...]:
    """The flags with which mpirun lets the others live when a rank dies; none where it has no such flags."""
    flags = ("--enable-recovery", "--mca", "orte_abort_on_non_zero_status", "0")
    done = subprocess.run(["mpirun", "--allow-run-as-root", *flags, "-n", "1", "true"], capture_output=True, check=False)
    return flags if done.returncode == 0 else ()


class KilledRankTest(MpiCase):
    def ranks_with_a_worker(self, launch: subprocess.Popen) -> list[processes.Process]:
        """The rank's own processes, below mpirun and above a worker; rank 0 has none when others are there."""
        return [rank for rank in processes.named(launch.pid, "kiln", " mpi ")
                if processes.named(rank.pid, "kiln", " worker ", "--coordinator")]

    def test_others_go_on_where_mpirun_lets_them(self):
        launcher = recovery()
        if not launcher:
            self.skipTest("this mpirun has no --enable-recovery")
        source = clips.make(self.folder / "in.mp4", frames=LONG_FRAMES, rate="25")
        job = self.job_file(source, segment_frames=SEGMENT_FRAMES)
        launch = self.start_command(self.mpirun(3, job, launcher=launcher))
        self.wait_for_metric(launch, "kiln_results_total", 3)
        ranks = self.ranks_with_a_worker(launch)
        self.assertEqual(len(ranks), 2, processes.table())
        below = processes.descendants(ranks[0].pid)
        ranks[0].signal(signal.SIGKILL)
        processes.wait_for("its worker to end with it", lambda: not any(process.alive() for process in below), 20)
        result = self.out / f"{source.stem}_up.mkv"
        processes.wait_for("the result", lambda: launch.poll() is not None or result.exists(), END_DEADLINE_S)
        self.assertTrue(result.exists(), self.said(launch))
        self.check_frames(source)
        watched = processes.descendants(launch.pid)
        launch.send_signal(signal.SIGINT)  # the killed worker could come back, and is waited for
        launch.wait(30)
        self.assert_all_gone(self.folder, watched)

    def test_without_that_the_launch_ends_and_the_same_command_goes_on(self):
        source = clips.make(self.folder / "in.mp4", frames=LONG_FRAMES, rate="25")
        job = self.job_file(source, segment_frames=SEGMENT_FRAMES)
        launch = self.launch(3, job)
        self.wait_for_metric(launch, "kiln_results_total", 3)
        self.ranks_with_a_worker(launch)[0].signal(signal.SIGKILL)
        self.assertNotEqual(launch.wait(END_DEADLINE_S), 0)
        self.assert_all_gone(self.folder)
        run = self.ended(self.launch(3, job), 0)
        self.assertIn("going on with it", run.err)
        self.check_frames(source)


class TwoHostsTest(MpiCase):
    """Two hosts with names and networks of their own; their file system is shared, as on a cluster."""

    ON_HOST = 'mount --bind "$1" /etc/hosts; hostname "$2"; shift 2; exec "$@"'

    def setUp(self) -> None:
        super().setUp()
        if reason := islands.why_impossible():
            self.skipTest(reason)
        self.places = islands.Islands(fixtures.ROOT, ["a", "b"])
        self.addCleanup(self.places.close)
        self.hosts = self.folder / "hosts"
        names = [f"{self.places.address(name)} node-{name}\n" for name in self.places.names]
        self.hosts.write_text("127.0.0.1 localhost\n" + "".join(names))

    def on_host(self, name: str, command: list[str]) -> list[str]:
        return self.places.command(name, None, ["unshare", "--uts", "--mount", "--propagation", "private", "sh", "-c",
                                                self.ON_HOST, "sh", str(self.hosts), f"node-{name}", *command])

    def test_ranks_of_two_hosts_find_each_other(self):
        source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25")
        agent = self.folder / "agent"  # what ssh is elsewhere
        agent.write_text('#!/bin/sh\nshift\nexec ' + shlex.join(self.on_host("b", ["sh", "-c"])) + ' "$*"\n')
        agent.chmod(0o755)
        launcher = ("-mca", "plm", "rsh", "-mca", "plm_rsh_agent", str(agent), "--host", "node-a:1,node-b:1")
        job = self.job_file(source, segment_frames=SEGMENT_FRAMES)
        run = self.ended(self.start_command(self.on_host("a", self.mpirun(2, job, "--json", launcher=launcher))), 0)
        self.assertEqual({lane["worker"] for lane in run.report()["lanes"]}, {"node-a-0", "node-b-1"})
        self.assertIn(f"tcp://{self.places.address('a')}:", run.err)
        self.check_frames(source)


class IdleLaunchTest(MpiCase):
    """A job that is paused: the ranks are there and have nothing to do."""

    def setUp(self) -> None:
        super().setUp()
        source = clips.make(self.folder / "in.mp4", frames=8, rate="25")
        key = self.folder / "me.key"
        made = self.run_command([str(fixtures.KILN), "keygen", str(key)])
        self.assertEqual(made.code, 0, made.err)
        allow = self.folder / "allow-me.txt"
        allow.write_text(made.out.strip() + " client me\n")
        self.job = self.launch(3, self.job_file(source, paused=True), "--allow", allow)
        self.wait_for_metric(self.job, "kiln_workers_connected", 2)
        self.key = key

    def seconds_used(self) -> float:
        """Processor time of all ranks and their children, those that ended included."""
        total = 0
        for process in [processes.Process(self.job.pid, ""), *processes.descendants(self.job.pid)]:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
        return total / os.sysconf("SC_CLK_TCK")

    def share_used(self) -> float:
        """Of one core, in the window that begins now."""
        began, before = time.monotonic(), self.seconds_used()
        processes.wait_for("the window to pass", lambda: time.monotonic() - began >= IDLE_WINDOW_S)
        return (self.seconds_used() - before) / (time.monotonic() - began)

    def test_idle_ranks_use_no_processor_and_an_interrupt_leaves_nobody(self):
        # What the ranks do at their start takes a while; a rank that waits in MPI never comes to rest.
        processes.wait_for("the ranks to come to rest", lambda: self.share_used() <= IDLE_SHARE_MAX, END_DEADLINE_S)
        shares = [self.share_used() for _ in range(IDLE_WINDOWS)]
        self.assertLessEqual(statistics.median(shares), IDLE_SHARE_MAX, f"they did not stay at rest: {shares}")
        keys = ("--key", self.key, "--coordinator-key", self.farm / "coordinator.pub")
        [job] = self.ask("jobs", *keys)["jobs"]
        self.assertEqual(job["state"], "paused")
        without_key = self.kiln("jobs", "--json")  # nobody is heard, on one machine neither
        self.assertIn(without_key.code, (4, 5), without_key.err)
        watched = processes.descendants(self.job.pid)
        self.job.send_signal(signal.SIGINT)
        self.assertNotEqual(self.job.wait(30), 0)
        self.assert_all_gone(self.folder, watched)


    def test_ranks_end_when_mpirun_is_killed(self):
        watched = processes.descendants(self.job.pid)
        self.job.kill()
        self.job.wait()
        self.assert_all_gone(self.folder, watched)


class SlurmScriptTest(MpiCase):
    """configs/slurm/kiln.sbatch as it is, where Slurm has no PMIx to offer: it launches through mpirun."""

    def test_script_runs_a_job_to_its_end(self):
        source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25")
        environment = {**fixtures.environment(), "KILN_PROGRAM": str(fixtures.KILN), "SLURM_TMPDIR": str(self.folder / "node"),
                       "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        run = self.run_command(["bash", str(fixtures.SOURCE / "configs/slurm/kiln.sbatch"),
                                str(self.job_file(source, segment_frames=SEGMENT_FRAMES)), str(self.out)],
                               env=environment, cwd=self.folder)
        self.assertEqual(run.code, 0, run.err)
        self.assertIn(f"done, frames {FRAMES}/{FRAMES}", run.out)
        self.check_frames(source)
        self.assertTrue((self.folder / "kiln-state/job/journal").is_dir())
        self.assertTrue(list((self.folder / "node").glob("kiln-*/*/blobs")))
        self.assert_all_gone(self.folder)


class WithoutMpiTest(FarmCase):
    def test_where_mpi_cannot_be_loaded_one_line_says_how_to_install_it(self):
        alone = self.folder / "bin" / "kiln"
        alone.parent.mkdir()
        shutil.copy2(fixtures.KILN, alone)
        self.refused(self.run_command([str(alone), "mpi", "--job", "job.toml", "--json"]), 3, "no MPI", "openmpi-bin")
        (alone.parent / "libkiln_mpi.so").write_bytes(b"no library")
        self.refused(self.run_command([str(alone), "mpi", "--job", "job.toml", "--json"]), 3, "no MPI", "openmpi-bin")


if __name__ == "__main__":
    unittest.main()
