"""A farm on one machine: the real coordinator, store, worker and client, and what each of them survives."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import time
import unittest
import urllib.request
from pathlib import Path

import clips
import fixtures
import processes
from farm_case import FarmCase, free_port

FRAMES = 60
LONG_FRAMES = 360
SOME_FRAMES = 160
SEGMENT_FRAMES = 12
NICE_MAX = 19  # the system knows no lower priority
CONNECT_DEADLINE_S = 5  # of a command that is not told another


class FarmTest(FarmCase):
    """A job from file to fetched result, and every command that looks at it."""

    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25", sound=True)

    def rendered_alone(self, source: Path) -> list[str]:
        alone = self.folder / f"alone-{source.stem}.mkv"
        self.upscale(source, alone, "--codec", "ffv1", "--threads-per-lane", 1)
        return clips.frame_hashes(alone)

    def test_job_gives_the_frames_of_kiln_run(self):
        second = clips.make(self.folder / "second.mp4", frames=21, rate="25")
        self.start_coordinator()
        self.start_worker()
        job = self.submit(self.source, second, title="Two Clips")
        self.assertTrue(job.startswith("two-clips-"), job)
        status = self.finish_job(job)
        self.assertEqual([status["frames_done"], status["frames_total"]], [FRAMES + 21] * 2)
        self.assertEqual(sum(lane["frames"] for lane in status["lanes"]), FRAMES + 21)
        self.assertEqual(status["attempts_failed"], 0)
        out = self.folder / "out"
        out.mkdir()
        self.assertEqual(self.kiln("fetch", job, "-o", out).code, 0)
        self.assertEqual(sorted(path.name for path in out.iterdir()), ["in_up.mkv", "second_up.mkv"])
        self.assertEqual(clips.frame_hashes(out / "in_up.mkv"), self.rendered_alone(self.source))
        self.assertEqual(clips.frame_hashes(out / "second_up.mkv"), self.rendered_alone(second))
        self.assertEqual(clips.times(out / "in_up.mkv"), clips.times(self.source))
        self.assertEqual(len(clips.streams(out / "in_up.mkv", "audio")), 1)
        self.refused(self.kiln("fetch", job, "-o", out, "--json"), 73, "in_up.mkv", "--overwrite")
        self.assertEqual(self.kiln("fetch", job, "-o", out, "--overwrite").code, 0)

    def test_sources_in_place_are_read_there_and_not_sent_to_the_store(self):
        self.start_coordinator()
        sha256 = hashlib.sha256(self.source.read_bytes()).hexdigest()

        def is_stored() -> bool:
            return any(sha256 in path.name for path in self.farm.rglob("*"))

        file = self.job_file(self.source)
        job = self.ask("submit", file, "--in-place")["job"]
        self.assertFalse(is_stored())
        self.start_worker()
        self.finish_job(job)
        self.assertFalse(is_stored())
        self.ask("submit", file)
        self.assertTrue(is_stored())

    def test_views_show_job_worker_and_tasks(self):
        coordinator = self.start_coordinator()
        self.start_worker("w1", "--pool", "day")
        self.wait_for_worker()
        job = self.submit(self.source, owner="ann", pool="day", priority=3, segment_frames=20)
        self.finish_job(job)
        self.assertEqual(self.ask("jobs")["jobs"], [])
        [listed] = self.ask("jobs", "--all")["jobs"]
        self.assertEqual([listed[key] for key in ("job", "owner", "pool", "priority", "state")],
                         [job, "ann", "day", 3, "done"])
        [worker] = self.ask("workers")["workers"]
        self.assertEqual([worker["worker"], worker["connected"], len(worker["lanes"])], ["w1", True, 1])
        farm = self.ask("status")
        self.assertEqual([farm["jobs_ended"], farm["workers"], farm["lanes"]], [1, 1, 1])
        self.assertTrue(self.ask("explain", job)["lines"])
        spans = [event for event in self.ask("trace", job)["traceEvents"] if event["ph"] == "X"]
        self.assertEqual(len(spans), 1 + FRAMES // 20 + 1)  # probe, segments, join
        for task in (span["args"]["task"] for span in spans):
            logs = self.ask("logs", task)
            [attempt] = logs["attempts"]
            self.assertEqual(logs["attempt"], 1)
            self.assertIn(f"task {task}", logs["text"])
            self.assertEqual([attempt["worker"], attempt["outcome"]], ["w1", "done"])
        self.assertIn(f"task {spans[0]['args']['task']}", self.kiln("logs", spans[0]["args"]["task"]).out)
        for command in (("jobs", "--all"), ("status", job)):
            self.assertIn(job, self.kiln(*command).out)
        self.assertIn("w1", self.kiln("workers").out)
        self.assertIn("1 ended", self.kiln("status").out)
        self.check_http(coordinator)

    def test_jobs_go_to_their_pool_and_after_those_they_name(self):
        """Two workers at once, each of a pool of its own."""
        short = clips.make(self.folder / "short.mp4", frames=12, rate="25")
        self.start_coordinator()
        self.start_worker("w1", "--pool", "red")
        self.start_worker("w2", "--pool", "blue")
        nowhere = self.submit(short, pool="green")
        first = self.submit(short, pool="red", paused=True)
        second = self.submit(short, pool="blue", after=[first], priority=9)
        for worker in ("w1", "w2"):
            self.wait_for_worker(worker)
        self.assertEqual(self.ask("explain", nowhere)["lines"][0],
                         "no lane may take it; w1 lane 0: w1 is not in the pool green (kiln worker --pool green)")
        self.assertEqual(self.ask("explain", second)["lines"][0], f"it waits for {first}")
        self.ask("resume", first)
        done = {job: self.finish_job(job) for job in (second, first)}
        self.assertGreaterEqual(done[second]["ended_s"], done[first]["ended_s"])
        self.assertEqual([[lane["worker"] for lane in done[job]["lanes"]] for job in (first, second)], [["w1"], ["w2"]])
        self.assertEqual(self.ask("status", nowhere)["state"], "waiting")

    def check_http(self, coordinator: subprocess.Popen) -> None:
        def get(path: str) -> str:
            with urllib.request.urlopen(self.notice()["http"] + path, timeout=20) as answer:
                return answer.read().decode()

        processes.wait_for("the metrics to tell of all results", lambda: "\nkiln_results_total 5\n" in get("/metrics"), 20)
        self.assertIn("\nkiln_workers_connected 1\n", get("/metrics"))
        self.assertTrue(json.loads(get("/readyz"))["ready"])
        self.assertTrue(json.loads(get("/healthz"))["healthy"])
        self.assertIn("kiln", json.loads(get("/version"))["version"])
        self.assertIsNone(coordinator.poll())

    def test_artifact_is_compiled_once_and_serves_the_next_job(self):
        self.start_coordinator()
        self.start_worker()
        source = clips.make(self.folder / "long.mp4", frames=SOME_FRAMES, rate="25")
        job = self.submit(source, executor="compiled", segment_frames=10)
        at_work = self.wait_for_segments(job, 1)
        self.ask("pause", job)
        store, key = self.farm / "store", at_work["clips"][0]["artifact_key"]
        pinned = [path.name.split("@")[1].encode() for path in (store / "pins.v1").iterdir()]
        manifest = base64.b64decode(json.loads((store / "keys.v1" / key).read_text())["payload"])
        self.assertTrue(any(digest in manifest for digest in pinned), "the store may evict it while the job runs")
        self.ask("resume", job)
        first = self.finish_job(job)
        self.assertEqual([first["compiles"], first["compile_failures"]], [1, 0])
        second = self.finish_job(self.submit(source, executor="compiled"))
        self.assertEqual(second["compiles"], 0)
        for status in (first, second):
            done = sum(segment["frames_compiled"] for segment in status["clips"][0]["segments"])
            self.assertEqual(done, SOME_FRAMES)
        self.assertEqual(first["clips"][0]["artifact_key"], second["clips"][0]["artifact_key"])

    def test_paused_job_waits_and_can_be_resumed_cancelled_retried_and_removed(self):
        self.start_coordinator()
        self.start_worker()
        job = self.submit(self.source, paused=True)
        self.assertEqual(self.ask("status", job)["state"], "paused")
        self.assertIn("paused", self.ask("explain", job)["lines"][0])
        self.refused(self.kiln("fetch", job, "-o", self.folder / "x.mkv", "--json"), 1, "paused")
        self.ask("cancel", job)
        run = self.kiln("watch", job, "--json")
        self.assertEqual([run.code, run.report()["state"]], [1, "cancelled"])
        self.ask("retry", job)
        self.ask("resume", job)
        self.finish_job(job)
        self.ask("rm", job)
        self.refused(self.kiln("status", job, "--json"), 3, job)

    def test_drained_worker_gets_nothing_more(self):
        self.start_coordinator()
        self.start_worker()
        self.wait_for_worker()
        self.ask("drain", "w1")
        self.assertTrue(self.ask("workers")["workers"][0]["draining"])
        job = self.submit(self.source)
        self.assertEqual(self.ask("status", job)["frames_done"], 0)
        self.ask("drain", "w1", "--off")
        self.finish_job(job)

    def test_worker_that_is_told_to_leave_ends_with_exit_code_0(self):
        self.start_coordinator()
        worker = self.start_worker()
        self.wait_for_worker()
        self.ask("drain", "w1", "--leave")
        self.assertEqual(worker.wait(60), 0, self.said(worker))
        self.assertEqual(self.ask("workers")["workers"], [])
        self.start_worker()
        self.finish_job(self.submit(self.source))


class BadRequestTest(FarmCase):
    def test_what_does_not_exist_is_one_line_with_exit_code_3(self):
        coordinator = self.start_coordinator("--json")
        self.assertEqual(json.loads(coordinator.stdout.readline()), self.notice())
        for command in ("status", "cancel", "pause", "resume", "retry", "rm", "watch", "explain", "trace"):
            self.refused(self.kiln(command, "nope", "--json"), 3, "nope")
        self.refused(self.kiln("fetch", "nope", "-o", self.folder / "x", "--json"), 3, "nope")
        self.refused(self.kiln("logs", "999", "--json"), 3, "999")
        self.refused(self.kiln("drain", "nobody", "--json"), 3, "nobody")

    def test_no_coordinator_is_exit_code_4(self):
        self.refused(self.kiln("jobs", "--timeout", 1, "--json"), 4, "kiln coordinator", str(self.farm))
        address = f"tcp://127.0.0.1:{free_port()}"
        began = time.monotonic()
        self.refused(self.kiln("jobs", "--coordinator", address, "--timeout", 1, "--json"), 4, address)
        self.assertLess(time.monotonic() - began, CONNECT_DEADLINE_S)
        self.refused(self.kiln("jobs", "--coordinator", address, "--timeout", 0, "--json"), 2, "--timeout")

    def test_worker_ends_when_its_coordinator_stays_away(self):
        worker = self.start_worker("w1", "--away-max", 1)
        self.assertEqual(worker.wait(60), 4, self.said(worker))
        self.assertIn(self.endpoint, self.said(worker).splitlines()[-1])

    def test_bad_job_files_are_refused_before_anything_is_sent(self):
        self.start_coordinator()
        source = clips.make(self.folder / "in.mp4", frames=4, rate="25")
        self.refused(self.kiln("submit", self.folder / "none.toml", "--json"), 66, "none.toml")
        self.refused(self.kiln("submit", self.job_file(source, prioritty=1), "--json"), 78, "line 4", "priority")
        self.refused(self.kiln("submit", self.job_file(self.folder / "none.mp4"), "--json"), 66, "none.mp4")
        self.refused(self.kiln("submit", self.job_file(source, model="/nowhere"), "--json"), 66, "/nowhere")
        self.refused(self.kiln("submit", self.job_file(source, after=["nope"]), "--json"), 3, "nope")
        self.assertEqual(self.ask("jobs", "--all")["jobs"], [])

    def test_source_that_is_no_video_fails_its_job_and_no_other(self):
        self.start_coordinator()
        self.start_worker()
        bad = self.folder / "bad.mp4"
        bad.write_bytes(b"no video at all" * 1000)
        failed = self.watch(self.submit(bad))
        self.assertEqual(failed["state"], "failed")
        self.assertIn("bad.mp4", failed["reason"])
        self.finish_job(self.submit(clips.make(self.folder / "in.mp4", frames=20, rate="25")))


class PinsTest(FarmCase):
    """What the store keeps, and for whom."""

    def pinned(self) -> int:
        with urllib.request.urlopen(self.notice()["store"] + "/metrics", timeout=10) as answer:
            [line] = [one for one in answer.read().decode().splitlines() if one.startswith("kiln_store_pinned_blobs ")]
        return int(line.split()[1])

    def test_what_was_sent_ahead_for_a_refused_job_is_nobodys(self):
        self.start_coordinator()
        source = clips.make(self.folder / "in.mp4", frames=4, rate="25")
        self.refused(self.kiln("submit", self.job_file(source, after=["nope"]), "--json"), 3, "nope")
        processes.wait_for("the store to be told", lambda: self.pinned() == 0, 30)

    def pins_of(self, job: str) -> set[str]:
        return {path.name.rpartition("@")[2] for path in (self.farm / "store" / "pins.v1").glob(f"{job}@*")}

    def test_segments_of_a_job_that_is_done_are_pinned_no_more(self):
        coordinator = self.start_coordinator()
        self.start_worker()
        source = clips.make(self.folder / "in.mp4", frames=60, rate="25")
        job = self.submit(source, segment_frames=10)
        self.wait_for_segments(job, 2)
        at_work = self.pins_of(job)
        self.finish_job(job)
        processes.wait_for("the store to be told", lambda: len(at_work - self.pins_of(job)) >= 2, 30)
        gone, kept = at_work - self.pins_of(job), self.pins_of(job)
        self.assertEqual(self.kiln("fetch", job, "-o", self.folder / "out.mkv").code, 0)
        package = [path for path in fixtures.package(self.network).rglob("*") if path.is_file()]
        for path in (source, self.folder / "out.mkv", *package):
            self.assertIn(hashlib.sha256(path.read_bytes()).hexdigest(), kept, path)
        coordinator.kill()  # as one that dies before it has told the store
        coordinator.wait()
        for digest in gone:
            (self.farm / "store" / "pins.v1" / f"{job}@{digest}").touch()
        self.start_coordinator()
        processes.wait_for("the store to be told again", lambda: self.pins_of(job) == kept, 30)

    def test_owners_that_are_no_jobs_go_at_the_next_start(self):
        coordinator = self.start_coordinator()
        source = clips.make(self.folder / "in.mp4", frames=4, rate="25")
        job = self.submit(source, paused=True)
        kept = self.pinned()
        self.assertGreater(kept, 3)
        coordinator.terminate()
        self.assertEqual(coordinator.wait(30), 0)
        pins = self.farm / "store" / "pins.v1"
        for pin in list(pins.iterdir()):  # as a coordinator leaves them that is killed after a removal, before it told the store
            (pins / pin.name.replace(job, "gone-1")).touch()
        self.start_coordinator()
        processes.wait_for("those of nobody to go", lambda: not list(pins.glob("gone-1@*")), 30)
        self.assertEqual(self.pinned(), kept)
        self.assertEqual(len(list(pins.glob(f"{job}@*"))), kept)


class KilledFarmTest(FarmCase):
    """One long job; the result is that of an undisturbed run."""

    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=LONG_FRAMES, rate="25")
        self.coordinator = self.start_coordinator()
        self.worker = self.start_worker()

    def begin(self) -> str:
        return self.submit(self.source, segment_frames=SEGMENT_FRAMES)

    def kill(self, process: subprocess.Popen) -> None:
        watched = processes.descendants(process.pid)
        process.kill()
        process.wait()
        processes.wait_for("its children to end", lambda: not any(one.alive() for one in watched), 20)

    def check_result(self, job: str, status: dict) -> None:
        out = self.folder / "out.mkv"
        self.assertEqual(self.kiln("fetch", job, "-o", out).code, 0)
        alone = self.folder / "alone.mkv"
        self.upscale(self.source, alone, "--codec", "ffv1", "--threads-per-lane", 1)
        self.assertEqual(clips.frame_hashes(out), clips.frame_hashes(alone))
        self.assertEqual(sum(lane["frames"] for lane in status["lanes"]), LONG_FRAMES)

    def check_kept(self, job: str, before: dict, after: dict) -> None:
        """What was done stayed as it was, and no task that had a result was given out again."""
        kept = {segment["first"]: segment["segment"]["sha256"] for segment in before["clips"][0]["segments"]}
        now = {segment["first"]: segment["segment"]["sha256"] for segment in after["clips"][0]["segments"]}
        self.assertLessEqual(kept.items(), now.items())
        runs = self.runs(job)
        for segment in before["clips"][0]["segments"]:
            self.assertEqual(runs[f"clip 0 frames {segment['first']} to {segment['last'] - 1}"], 1)

    def runs(self, job: str) -> dict[str, int]:
        """How often each task was begun."""
        spans = [span["name"] for span in self.ask("trace", job)["traceEvents"] if span["ph"] == "X"]
        return {name: spans.count(name) for name in spans}

    def test_killed_worker_is_replaced(self):
        job = self.begin()
        before = self.wait_for_segments(job, 2)
        self.kill(self.worker)
        self.start_worker("w2")
        after = self.finish_job(job)
        self.check_kept(job, before, after)
        self.check_result(job, after)

    def test_killed_coordinator_goes_on_and_renders_nothing_again(self):
        job = self.begin()
        before = self.wait_for_segments(job, 2)
        self.kill(self.coordinator)
        self.start_coordinator()
        after = self.finish_job(job)
        self.assertIsNone(self.worker.poll(), "the worker did not wait for the coordinator")
        self.check_kept(job, before, after)
        self.check_result(job, after)

    def test_killed_store_is_started_again(self):
        job = self.begin()
        before = self.wait_for_segments(job, 2)
        [store] = processes.named(self.coordinator.pid, "cache", "serve")
        store.signal(signal.SIGKILL)
        after = self.finish_job(job)
        self.check_kept(job, before, after)
        self.check_result(job, after)

    def test_killed_lane_costs_one_try(self):
        job = self.begin()
        self.wait_for_segments(job, 2)
        [lane] = self.lanes(self.worker)
        lane_nice, worker_nice = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (lane.pid, self.worker.pid))
        self.assertEqual(lane_nice, min(worker_nice + 5, NICE_MAX), "a lane of the CPU gives way to the farm's own processes")
        self.stop_at_work(lane)
        lane.signal(signal.SIGKILL)
        after = self.finish_job(job)
        # One death: a try that failed, and a lane that was lost. One segment was begun twice, everything else once.
        self.assertEqual([after["attempts_failed"], after["lanes_lost"]], [1, 1])
        self.assertEqual(sorted(self.runs(job).values())[-2:], [1, 2])
        self.check_result(job, after)

    def stop_at_work(self, lane: processes.Process) -> None:
        """Stops the lane in the middle of a segment: what encodes it is there, and has not been waited for."""
        def caught() -> bool:
            lane.signal(signal.SIGSTOP)
            if processes.named(lane.pid, "ffmpeg", "/segment"):
                return True
            lane.signal(signal.SIGCONT)
            return False

        processes.wait_for("the lane to encode", caught)

    def test_cancelled_job_stops_at_once(self):
        job = self.begin()
        self.wait_for_segments(job, 2)
        self.ask("cancel", job)
        self.assertEqual(self.watch(job)["state"], "cancelled")
        processes.wait_for("the lane to stop", lambda: not self.encoders(self.worker), 30)
        second = clips.make(self.folder / "second.mp4", frames=8, rate="25")
        self.finish_job(self.submit(second))

    def test_sigterm_ends_everyone(self):
        job = self.begin()
        self.wait_for_segments(job, 1)
        for process in (self.worker, self.coordinator):
            watched = processes.descendants(process.pid)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), 0, self.said(process))
            self.assertEqual([one.command() for one in watched if one.alive()], [])
        self.assert_all_gone(self.folder)
        self.start_coordinator()
        self.start_worker()
        self.check_result(job, self.finish_job(job))


if __name__ == "__main__":
    unittest.main()
