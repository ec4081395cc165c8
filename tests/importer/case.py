"""What the importer's tests share: a folder that goes away, and the importer called as the program calls it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import sys
import tempfile
import unittest
import warnings

SOURCE = pathlib.Path(os.environ.get("KILN_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])
sys.path[:0] = [str(SOURCE / "python"), str(SOURCE / "tests" / "models")]

import torch  # noqa: E402

torch.set_num_threads(2)
warnings.filterwarnings("ignore")


class ImportCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kiln-import-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def run_import(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr of `kiln import …`."""
        from kiln_import.__main__ import main

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(arguments))
        return code, out.getvalue(), err.getvalue()

    def assert_refused(self, source: str, exit_code: int, *words: str, kind: str = "upscaler") -> str:
        """One line that names the file and holds every word; nothing under the output's name or beside it."""
        before = sorted(os.listdir(self.folder))
        code, _, err = self.run_import(kind, source, "-o", self.path("package"), "--dtype", "float32")
        self.assertEqual(code, exit_code, err)
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        for word in words:
            self.assertIn(word, err)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        return err


def fixtures_folder() -> str:
    """The folder of packages that all tests of one build share; another recipe has another folder."""
    given = os.environ.get("KILN_TEST_FIXTURES")
    if given:
        return given
    files = sorted(f for folder in ("python/kiln_import", "tests/models") for f in (SOURCE / folder).glob("*.py"))
    files.append(SOURCE / "python" / "constraints.txt")  # the versions that are installed
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]
    root = os.environ.get("KILN_BINARY_DIR") or str(SOURCE / "build" / "release")
    return os.path.join(root, "fixtures", digest)


def fixture(name: str) -> str:
    """The folder of one network's package and cases, made where it is not there yet."""
    import make_fixtures

    folder = fixtures_folder()
    os.makedirs(folder, exist_ok=True)
    make_fixtures.make(name, folder, ["--dtype", "float32"])
    return os.path.join(folder, name)
