"""Networks of users: what they declare is taken over, and what cannot work is refused in one line."""

import os
import sys
import tomllib
import unittest

from case import ImportCase  # first: it says where the others are

import torch
from kiln_import.failure import ImportFailure
from kiln_import.user_module import load_module

SOURCE = '''
import torch
from torch import nn

class Plain(nn.Module):
    scale = 2
    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=2.0)

class Wrong(nn.Module):
    def forward(self, x):
        return x[..., 1:]

class Two(nn.Module):
    def forward(self, x):
        return x, x

class Broken(nn.Module):
    def forward(self, x):
        raise ValueError("no such thing")

class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(1, 3, 1, 1))
    def forward(self, x):
        self.last.copy_(x.mean(dim=(2, 3), keepdim=True))
        return x + self.last

class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

class Squares(nn.Module):
    size_multiple = 8
    size_minimum = 16
    def forward(self, x):
        b, c, h, w = x.shape
        return x.view(b, c, h // 8, 8, w // 8, 8).flip(3, 5).view(b, c, h, w)

class OtherWhenWide(nn.Module):
    """Its graph of a wide frame is not what the network itself gives."""
    def forward(self, x):
        return x + 1 if torch.compiler.is_exporting() and x.shape[-1] > 20 else x * 0.5

class OverflowsWhenWide(nn.Module):
    """Beyond what float16 holds, but only in a wide frame."""
    def forward(self, x):
        return x * 3e5 / 3e5 if x.shape[-1] > 20 else x * 0.5

class NotFinite(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([float("nan")]))
    def forward(self, x):
        return x * self.weight

def plain(): return Plain()
def declared(): return {"module": Plain(), "scale": 2, "name": "mine", "may_tile": False}
def misspelt(): return {"module": Plain(), "scal": 2}
def too_large(): return {"module": Plain(), "scale": 99}
def wrong_type(): return {"module": Plain(), "scale": 2.0}
def wrong(): return Wrong()
def two(): return Two()
def broken(): return Broken()
def remembers(): return Remembers()
def random(): return Random()
def squares(): return Squares()
def other_when_wide(): return OtherWhenWide()
def overflows_when_wide(): return OverflowsWhenWide()
def not_finite(): return NotFinite()
def nothing(): return None
def fails(): raise RuntimeError("cannot be made")
number = 3
'''


class ModuleTest(ImportCase):
    def setUp(self):
        super().setUp()
        with open(self.path("users_networks.py"), "w") as file:
            file.write(SOURCE)
        here = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)
        self.addCleanup(sys.modules.pop, "users_networks", None)
        sys.dont_write_bytecode = True

    def assert_module_refused(self, name: str, exit_code: int, *words: str) -> None:
        self.assert_refused(f"users_networks:{name}", exit_code, *words, kind="module")

    def test_declarations_are_taken_from_the_module_or_from_a_dict(self):
        plain, declared = load_module("users_networks:plain"), load_module("users_networks:declared")
        self.assertEqual((plain.scale, plain.frames, plain.may_tile), (2, 1, True))
        self.assertEqual((declared.scale, declared.name, declared.may_tile), (2, "mine", False))
        squares = load_module("users_networks:squares")
        self.assertEqual((squares.size.multiple, squares.size.minimum), (8, 16))

    def test_size_multiple_reaches_the_package(self):
        code, _, err = self.run_import("module", "users_networks:squares", "-o", self.path("package"), "--dtype", "float32")
        self.assertEqual(code, 0, err)
        with open(self.path("package/manifest.toml"), "rb") as file:
            manifest = tomllib.load(file)
        self.assertEqual((manifest["kind"], manifest["size_multiple"], manifest["size_minimum"]), ("module", 8, 16))
        self.assertEqual(manifest["tiling"]["kind"], "exact")
        self.assertEqual([g["height_min"] % 8 for g in manifest["graph"]], [0])

    def test_what_is_not_there_is_named(self):
        self.assert_module_refused("absent", 66, "absent")
        self.assert_refused("no_such_package:make", 66, "no_such_package", kind="module")
        self.assert_refused("users_networks", 65, "package.module:factory", kind="module")
        self.assert_module_refused("number", 66, "number")

    def test_factories_that_fail_or_return_no_module(self):
        self.assert_module_refused("fails", 65, "cannot be made")
        self.assert_module_refused("nothing", 65, "torch.nn.Module")

    def test_declarations_that_mean_nothing(self):
        self.assert_module_refused("misspelt", 65, "scal", "frames_before")
        self.assert_module_refused("too_large", 65, "scale", "99")
        self.assert_module_refused("wrong_type", 65, "scale", "2.0")

    def test_results_of_another_shape_or_number(self):
        self.assert_module_refused("wrong", 65, "must be [1, 3,")
        self.assert_module_refused("two", 65, "returned")
        self.assert_module_refused("broken", 65, "no such thing")

    def test_networks_that_cannot_be_run_in_any_order(self):
        self.assert_module_refused("remembers", 65, "state")
        self.assert_module_refused("random", 65)
        self.assert_module_refused("not_finite", 65, "weight", "NaN")

    def import_two_sizes(self, name: str) -> tuple[int, str, str]:
        shapes = ("--tile-shape", "16x16", "--tile-shape", "16x24")
        return self.run_import("module", f"users_networks:{name}", "-o", self.path("package"), *shapes)

    def test_a_graph_that_is_wrong_at_one_size_only_is_refused(self):
        code, _, err = self.import_two_sizes("other_when_wide")
        self.assertEqual(code, 65, err)
        self.assertIn("16x24", err)
        self.assertFalse(os.path.exists(self.path("package")))

    def test_a_precision_that_overflows_at_one_size_only_is_left_out_at_all(self):
        code, out, err = self.import_two_sizes("overflows_when_wide")
        self.assertEqual(code, 0, err)
        self.assertIn("left out torch.float16", out + err)
        with open(self.path("package/manifest.toml"), "rb") as file:
            graphs = [(g["dtype"], g["height"], g["width"]) for g in tomllib.load(file)["graph"]]
        self.assertEqual(graphs, [(d, 16, w) for d in ("float32", "bfloat16") for w in (16, 24)])

    def test_loading_declares_no_gradient_and_evaluation_mode(self):
        network = load_module("users_networks:plain")
        self.assertFalse(network.module.training)
        self.assertFalse(any(p.requires_grad for p in network.module.parameters()))
        self.assertIsInstance(network.run(torch.zeros(1, 3, 8, 8)), torch.Tensor)
        with self.assertRaises(ImportFailure):
            load_module("users_networks:nothing")


if __name__ == "__main__":
    unittest.main()
