"""python/kiln_client.py, which knows the protocol and nothing else of Kiln, against a real farm."""

from __future__ import annotations

import os
import unittest

import clips
import fixtures
from farm_case import JOB_DEADLINE_S, FarmCase, free_port
from kiln_case import Run

PYTHON = "/usr/bin/python3"  # Debian's, which has pyzmq and protobuf
FRAMES = 30


class PythonClientTest(FarmCase):
    def client(self, *arguments: object, endpoint: str | None = None) -> Run:
        command = [PYTHON, str(fixtures.BINARY / "python" / "kiln_client.py"), "--coordinator", endpoint or self.endpoint,
                   *map(str, arguments)]
        return self.run_command(command, JOB_DEADLINE_S, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    def submit_arguments(self, *more: object) -> list[object]:
        return ["submit", "--model", fixtures.package(self.network), "--executor", "uncompiled", "--codec", "ffv1", *more]

    def done(self, run: Run) -> str:
        self.assertEqual(run.code, 0, run.err)
        return run.out.strip()

    def test_clip_is_submitted_watched_and_fetched(self):
        self.start_coordinator()
        self.start_worker()
        source = clips.make(self.folder / "in.mp4", frames=FRAMES, rate="25", sound=True)
        output, alone = self.folder / "out.mkv", self.folder / "alone.mkv"
        job = self.done(self.client(*self.submit_arguments(source, "-o", output)))
        self.upscale(source, alone, "--codec", "ffv1", "--threads-per-lane", 1)
        self.assertEqual(clips.frame_hashes(output), clips.frame_hashes(alone))
        self.assertEqual(self.ask("status", job)["state"], "done")
        self.done(self.client("watch", job))
        self.assertEqual(self.client("fetch", job, "-o", output).code, 73)
        self.done(self.client("fetch", job, "-o", output, "--overwrite"))

    def test_job_without_workers_is_cancelled(self):
        self.start_coordinator()
        source = clips.make(self.folder / "in.mp4", frames=4, rate="25")
        job = self.done(self.client(*self.submit_arguments(source)))
        self.done(self.client("cancel", job))
        run = self.client("watch", job)
        self.assertEqual(run.code, 1)
        self.assertIn("cancelled", run.err)
        self.assertEqual(self.client("fetch", job, "-o", self.folder / "x.mkv").code, 1)

    def test_errors_are_one_line_with_the_exit_codes_of_kiln(self):
        run = self.client("--patience", 3, "cancel", "nope", endpoint=f"tcp://127.0.0.1:{free_port()}")
        self.assertEqual(run.code, 4)
        self.assertEqual(len(run.err.splitlines()), 1)
        self.start_coordinator()
        run = self.client("cancel", "nope")
        self.assertEqual(run.code, 3)
        self.assertIn("nope", run.err)
        self.assertEqual(self.client(*self.submit_arguments(self.folder / "none.mp4")).code, 66)

    def test_keys_open_the_door(self):
        keys = {}
        for name in ("coordinator", "client", "stranger"):
            keys[name] = self.done(self.run_command([str(fixtures.KILN), "keygen", str(self.folder / f"{name}.key")]))
        allowed = self.folder / "allow.txt"
        allowed.write_text(f"{keys['client']} client ann\n")
        self.start_coordinator("--key", self.folder / "coordinator.key", "--allow", allowed)

        def cancel(name: str) -> int:
            return self.client("--key", self.folder / f"{name}.key", "--coordinator-key", keys["coordinator"], "--patience",
                               3, "cancel", "nope").code

        self.assertEqual(cancel("client"), 3)  # it was heard: there is no such job
        self.assertEqual(cancel("stranger"), 4)
        self.assertEqual(self.client("--patience", 3, "cancel", "nope").code, 4)


if __name__ == "__main__":
    unittest.main()
