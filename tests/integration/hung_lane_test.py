"""Lanes that hang at any kind of work are killed, and another goes on with it."""

from __future__ import annotations

import shutil
import signal
import unittest
from pathlib import Path

import clips
import fixtures
import processes
from kiln_case import KilnCase

SILENCE_S = 6
START_S = 15  # a lane that loads LibTorch beside other work takes several seconds: it must not be taken for a hung one
FRAMES = 12
SEGMENT_FRAMES = 6


class HungLaneTest(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=FRAMES)
        self.output = self.folder / "out.mkv"
        self.environment = {**fixtures.environment(), "KILN_LANE_SILENCE_S": str(SILENCE_S),
                            "KILN_WORKER_LANE_START_S": str(START_S)}

    def stopping_tools(self, name: str, condition: str) -> Path:
        """ffmpeg and ffprobe; the named one, called so for the first time, stops the lane that called it, and itself."""
        tools = self.folder / "tools"
        tools.mkdir()
        for tool in ("ffmpeg", "ffprobe"):
            (tools / tool).symlink_to(shutil.which(tool))
        (tools / name).unlink()
        (tools / name).write_text(
            f'#!/bin/bash\nif [[ {condition} && ! -e {tools}/stopped ]]; then touch {tools}/stopped; '
            f'kill -STOP $PPID $$; fi\nexec {shutil.which(name)} "$@"\n')
        (tools / name).chmod(0o755)
        return tools / "ffmpeg"

    def start_job(self, *flags: object):
        return self.start(self.source, self.output, "--codec", "ffv1", "--segment-frames", SEGMENT_FRAMES, *flags,
                          env=self.environment)

    def check_end(self, command, at_work: bool = True) -> None:
        run = self.finish(command)
        self.assertEqual(run.code, 0, run.err)
        report = run.report()
        if at_work:  # else the job never knew of it
            self.assertIn("no sign of life", run.err)
            self.assertEqual(report["lanes_lost"], 1, run.err)
        self.assertEqual(sum(lane["segments"] for lane in report["lanes"]), FRAMES // SEGMENT_FRAMES)
        self.assertEqual(len(clips.frame_hashes(self.output)), FRAMES)
        self.assert_all_gone(self.folder)

    def test_while_it_loads(self):
        command = self.start_job()
        [lane] = processes.wait_for("a lane", lambda: self.lanes(command))
        lane.signal(signal.SIGSTOP)
        self.check_end(command, at_work=False)

    def test_while_it_probes(self):
        command = self.start_job("--ffmpeg", self.stopping_tools("ffprobe", '" $* " != *" -version "*'))
        self.check_end(command)

    def test_while_it_renders(self):
        command = self.start_job("--ffmpeg", self.stopping_tools("ffmpeg", '"${*: -1}" == */segment'))
        self.check_end(command)

    def test_while_it_joins(self):
        command = self.start_job("--ffmpeg", self.stopping_tools("ffmpeg", '"${*: -1}" == */output/*'))
        self.check_end(command)


if __name__ == "__main__":
    unittest.main()
