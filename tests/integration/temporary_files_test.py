"""Nothing is left in the folder for temporary files, where LibTorch's own loader would unpack each artifact anew."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest

import clips
import fixtures
from kiln_case import KilnCase

# A /tmp of the command's own, empty: what is in it afterwards is what the command and its children left.
PRIVATE = ["unshare", "--user", "--map-root-user", "--mount"]
SCRIPT = 'mount -t tmpfs none /tmp || exit 99; listing=$1; shift; "$@"; code=$?; ls -A /tmp >"$listing"; exit $code'


class TemporaryFilesTest(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        self.state = self.folder / ("long" * 30) / "state"  # beyond what a socket's path may be

    def test_nothing_stays_where_a_socket_was(self):
        source = clips.make(self.folder / "in.mkv", frames=2)
        with tempfile.TemporaryDirectory() as runtime:
            self.upscale(source, self.folder / "out.mkv", env={**fixtures.environment(), "XDG_RUNTIME_DIR": runtime})
            self.assertEqual(os.listdir(runtime), [])

    def test_a_job_leaves_nothing_in_tmp(self):
        if str(fixtures.BINARY).startswith("/tmp/"):
            self.skipTest("the build folder itself is below /tmp")
        trial = subprocess.run([*PRIVATE, "mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True, check=False)
        if trial.returncode != 0:
            self.skipTest(f"no folder can be mounted here: {trial.stderr.decode().strip()}")
        self.state.parent.mkdir()
        fixtures.copy_warm_state(self.state)
        source = clips.make(self.folder / "in.mkv", frames=9, encoder=("-c:v", "ffv1"))
        output, listing = self.folder / "out.mkv", self.folder / "listing"
        command = self.arguments(source, output, "--codec", "ffv1", "--lanes", 2, "--segment-frames", 3, "--executor",
                                 "compiled")
        run = self.run_command([*PRIVATE, "sh", "-c", SCRIPT, "sh", str(listing), *command])
        self.assertEqual(run.code, 0, f"{run.out}\n{run.err}")
        self.assertEqual(run.report()["clips"][0]["frames_compiled"], 9)
        self.assertEqual(listing.read_text(), "")


if __name__ == "__main__":
    unittest.main()
