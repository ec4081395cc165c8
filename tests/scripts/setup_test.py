"""scripts/setup: what a second run does, what it never removes, and that no step hides its error.

All but the second run work on a copy of the script in a folder of its own, where it ends before it fetches anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOURCE = Path(os.environ["KILN_SOURCE_DIR"])
VENV = Path(os.environ["KILN_VENV"])
SECOND_RUN_S_MAX = 30  # ninja looks at every file; anything that is done again takes minutes


def run_setup(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([root / "scripts" / "setup"], env={**os.environ, **environment}, capture_output=True,
                          text=True, check=False)


def is_debian_12() -> bool:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except FileNotFoundError:
        return False
    return "ID=debian" in lines and 'VERSION_ID="12"' in lines


class SecondRunTest(unittest.TestCase):
    def test_does_nothing_and_says_its_four_steps(self) -> None:
        environment = {"KILN_SKIP_APT": "1", "KILN_VENV": str(VENV)}
        first = run_setup(SOURCE, **environment)  # after a change of the sources it has something to do
        self.assertEqual(first.returncode, 0, first.stdout + first.stderr)
        started = time.monotonic()
        second = run_setup(SOURCE, **environment)
        seconds = time.monotonic() - started
        self.assertEqual(second.returncode, 0, second.stdout + second.stderr)
        steps = [line.removeprefix("setup: ") for line in second.stderr.splitlines() if line.startswith("setup: ")]
        for step, start in zip(steps, ("1/4 Debian packages: left alone", "2/4 Python packages: all there",
                                       "3/4 configure: done before", "4/4 build: ", "ready: "), strict=True):
            self.assertTrue(step.startswith(start), step)
        self.assertIn("no work to do", second.stdout)
        self.assertLess(seconds, SECOND_RUN_S_MAX)


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="kiln-setup-"))
        self.addCleanup(shutil.rmtree, self.root)
        for name in ("scripts/setup", "scripts/debian-packages.txt", "python/constraints.txt"):
            (self.root / name).parent.mkdir(exist_ok=True)
            shutil.copy(SOURCE / name, self.root / name)
        self.venv = self.root / "environment"
        # Ahead of the machine's own programs: a Python that makes no environment, as a full disk would have it.
        self.programs = self.root / "programs"
        self.programs.mkdir()
        self.program("python3", "echo 'no space left' >&2; exit 9")

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def setup_run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        return run_setup(self.root, KILN_VENV=str(self.venv), PATH=path, **environment)

    def test_folder_of_someone_else_is_left_alone(self) -> None:
        self.venv.mkdir()
        for name in ("pyvenv.cfg", "mine.txt"):  # an environment of the user's own, then any folder
            (self.venv / name).write_text("mine")
            done = self.setup_run(KILN_SKIP_APT="1")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"setup: error: {self.venv} is there and was not made by this script", done.stderr)
            self.assertEqual([f.read_text() for f in self.venv.iterdir()], ["mine"])
            (self.venv / name).unlink()

    def test_environment_that_was_left_half_made_is_made_again(self) -> None:
        for _ in range(2):  # the second finds what the first left
            done = self.setup_run(KILN_SKIP_APT="1")
            self.assertEqual(done.returncode, 9, done.stderr)
            self.assertIn("no space left", done.stderr)
            self.assertIn("setup: failed at line", done.stderr)
            (self.venv / "left").write_text("of an earlier run")
        self.setup_run(KILN_SKIP_APT="1")
        self.assertFalse((self.venv / "left").exists())

    def test_environment_of_other_versions_is_made_again(self) -> None:
        self.venv.mkdir()
        (self.venv / "kiln-installed.txt").write_text("torch==1.0\n")
        self.assertEqual(self.setup_run(KILN_SKIP_APT="1").returncode, 9)
        self.assertFalse((self.venv / "kiln-installed.txt").exists())

    @unittest.skipUnless(is_debian_12(), "the script asks dpkg on Debian 12 only")
    def test_list_of_packages_that_cannot_be_had_is_an_error(self) -> None:
        self.program("dpkg-query", "echo 'database is locked' >&2; exit 2")
        self.venv.mkdir()
        (self.venv / "mine.txt").write_text("so that it ends in any case")
        done = self.setup_run()
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("database is locked", done.stderr)
        self.assertNotIn("all there", done.stderr)


class VersionsTest(unittest.TestCase):
    def check(self, constraints: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([VENV / "bin" / "python", "-I", SOURCE / "scripts" / "check_python.py", constraints],
                              capture_output=True, text=True, check=False)

    def test_installed_packages_are_those_of_the_constraints(self) -> None:
        done = self.check(SOURCE / "python" / "constraints.txt")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_wrong_and_missing_packages_are_named(self) -> None:
        text = (SOURCE / "python" / "constraints.txt").read_text()
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.write(text.replace("torch==2.", "torch==1.") + "\nno-such-package==3.1\n")
            constraints.flush()
            done = self.check(Path(constraints.name))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("torch: wanted 1.", done.stderr)
        self.assertIn("its version.py says 2.", done.stderr)
        self.assertIn("no-such-package: wanted 3.1, found absent", done.stderr)
        self.assertNotIn("spandrel", done.stderr)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
