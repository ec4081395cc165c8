"""A package is there as a whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
import tomllib
import unittest
from unittest import mock

from case import SOURCE, ImportCase  # first: it says where the others are

import safetensors.torch
import torch
from kiln_import import package
from kiln_import.network import Network
from kiln_import.package import manifest_text
from kiln_import.tiling_probe import Tiling
from kiln_import.trace import Parameter

MODULE = "three_frames:make"
ARGUMENTS = ("--dtype", "float32", "--tile-shape", "16x16")


class PackageTest(ImportCase):
    def run_module_import(self, output: str) -> tuple[int, str]:
        code, _, err = self.run_import("module", MODULE, "-o", output, *ARGUMENTS)
        return code, err

    def test_output_that_exists_is_left_alone(self):
        for make in (os.mkdir, lambda path: os.symlink("/nowhere", path), lambda path: open(path, "w").close()):
            target = self.path(f"taken{len(os.listdir(self.folder))}")
            make(target)
            code, err = self.run_module_import(target)
            self.assertEqual(code, 73)
            self.assertIn("exists", err)

    def test_missing_parent_folder_is_named(self):
        code, err = self.run_module_import(self.path("no/such/package"))
        self.assertEqual(code, 73)
        self.assertIn(self.path("no/such"), err)

    def test_full_disk_leaves_nothing(self):
        self.check_failing_write(errno.ENOSPC, 74, "disk full")

    def test_read_only_disk_leaves_nothing(self):
        self.check_failing_write(errno.EROFS, 73, "not written")

    def check_failing_write(self, number: int, exit_code: int, words: str) -> None:
        real = package.write_file

        def failing(work: str, name: str, data: bytes) -> str:
            if name.startswith("weights/"):
                raise OSError(number, os.strerror(number), name)
            return real(work, name, data)

        with mock.patch.object(package, "write_file", failing):
            code, err = self.run_module_import(self.path("package"))
        self.assertEqual(code, exit_code, err)
        self.assertIn(words, err)
        self.assertEqual(os.listdir(self.folder), [])

    def test_interruption_leaves_nothing(self):
        with mock.patch.object(package, "manifest_text", side_effect=KeyboardInterrupt):
            code, _ = self.run_module_import(self.path("package"))
        self.assertEqual(code, 130)
        self.assertEqual(os.listdir(self.folder), [])

    def test_termination_leaves_nothing(self):
        code = (
            "import os, signal, sys; from kiln_import import package; from kiln_import.__main__ import main;"
            "package.manifest_text = lambda *a: os.kill(os.getpid(), signal.SIGTERM);"
            f"sys.exit(main(['module', {MODULE!r}, '-o', 'package', *{ARGUMENTS!r}]))"
        )
        paths = os.pathsep.join(str(SOURCE / p) for p in ("python", "tests/models"))
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], cwd=self.folder, env=environment, capture_output=True)
        self.assertIn(done.returncode, (143, -signal.SIGTERM))
        self.assertEqual(os.listdir(self.folder), [])

    def test_weights_that_came_in_half_precision_are_stored_so(self):
        network = Network(torch.nn.Identity(), "upscaler", "n", "a", 2, half_precision_weights=True)
        values = [Parameter("w", torch.tensor([0.5, 1.25]), False, False), Parameter("b", torch.tensor([0.1]), False, False)]
        stored = package._as_stored(network, values)
        self.assertEqual([p.value.dtype for p in stored], [torch.float16, torch.float32])
        self.assertEqual(len(safetensors.torch.save({p.name: p.value for p in stored})) % 8, 0)

    def test_names_are_quoted(self):
        name = 'a "quoted" \\ name\nof two lines'
        network = Network(torch.nn.Identity(), "upscaler", name, "a", 2)
        text = manifest_text(network, [], [], Tiling("approximate", 4, 9.5e-05), {package.WEIGHTS_FILE: "0" * 64})
        read = tomllib.loads(text)
        self.assertEqual((read["name"], read["tiling"]["difference"]), (name, 9.5e-05))


if __name__ == "__main__":
    unittest.main()
