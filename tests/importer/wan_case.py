"""What the tests of Wan's import share: a tiny model, saved as diffusers saves it, and its package."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile

from case import ImportCase  # first: it says where the others are

import torch
from wan_models import TinyWan
from wan_package import Package


@functools.cache
def shared_folder() -> str:
    folder = tempfile.mkdtemp(prefix="kiln-wan-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def tiny_wan() -> tuple[TinyWan, str]:
    wan, source = TinyWan(), os.path.join(shared_folder(), "Tiny-Wan")
    wan.save(source)
    return wan, source


class WanCase(ImportCase):
    @classmethod
    def setUpClass(cls):
        cls.wan, cls.source = tiny_wan()

    @staticmethod
    @functools.cache
    def imported() -> Package:
        """The package of the saved folder."""
        output = os.path.join(shared_folder(), "package")
        code, _, err = ImportCase().run_import("diffusers", tiny_wan()[1], "-o", output, "--dtype", "float32")
        assert code == 0, err
        return Package(output)

    def assert_same(self, found: torch.Tensor, expected: torch.Tensor) -> None:
        self.assertEqual(found.shape, expected.shape)
        self.assertEqual(found.dtype, expected.dtype)
        self.assertGreater(expected.float().std().item(), 1e-2)  # else equality says nothing
        self.assertLessEqual((found.float() - expected.float()).abs().max().item(), 1e-6 * expected.float().abs().max().item())
