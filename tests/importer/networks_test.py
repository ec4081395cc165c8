"""The networks that the other tests use fail where they should, and packages give spandrel's own results."""

import json
import os
import tomllib
import unittest

from case import ImportCase, fixture  # first: it says where the others are

import networks
import numpy
import safetensors.torch
import torch
from kiln_import.graph_file import read_program
from kiln_import.trace import to_channels_last

TOLERANCE = 1e-4  # part of the output's range
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class TinyNetworksTest(unittest.TestCase):
    def test_every_block_is_felt(self):
        for network in networks.NETWORKS:
            with self.subTest(network.name):
                module = networks.build(network)
                x = networks.picture(*network.sizes[0])
                for block in network.blocks(module):
                    self.assertGreaterEqual(networks.block_change(module, block, x), networks.BLOCK_CHANGE_MIN)
                self.assertGreaterEqual(module(x).std().item(), networks.OUTPUT_DEVIATION_MIN)

    def test_swapped_blocks_exceed_the_tolerance_ten_times(self):
        for network in networks.NETWORKS:
            with self.subTest(network.name):
                module = networks.build(network)
                x = networks.picture(*network.sizes[0])
                expected = module(x)
                networks.swap_blocks(module, network)
                spread = (expected.max() - expected.min()).item()
                self.assertGreater((module(x) - expected).abs().max().item(), 10 * TOLERANCE * spread)

    def test_weights_are_the_same_each_time(self):
        for network in networks.NETWORKS[:2]:
            first, second = networks.build(network).state_dict(), networks.build(network).state_dict()
            self.assertTrue(all(torch.equal(first[k], second[k]) for k in first))


class Package:
    """A package as its contract says: nothing here knows the network."""

    def __init__(self, folder: str):
        self.folder = folder
        with open(os.path.join(folder, "manifest.toml"), "rb") as file:
            self.manifest = tomllib.load(file)
        self.weights = safetensors.torch.load_file(os.path.join(folder, self.manifest["weights"]["file"]))

    def inputs(self, dtype: torch.dtype) -> list[torch.Tensor]:
        values = []
        for entry in self.manifest["parameter"]:
            value = self.weights[entry["name"]]
            value = value if entry["keep_dtype"] else value.to(dtype)
            values.append(to_channels_last(value) if entry["channels_last"] else value)
        return values

    def run(self, x: torch.Tensor) -> torch.Tensor:
        """Padded and cropped as the lane does, through the graph that takes the size."""
        height, width = x.shape[-2:]
        multiple, least = self.manifest["size_multiple"], self.manifest["size_minimum"]
        padded = [-(-max(side, least) // multiple) * multiple for side in (height, width)]
        pads = (0, padded[1] - width, 0, padded[0] - height)
        if any(pads):
            x = torch.nn.functional.pad(x, pads, "reflect")
        entry = next(g for g in self.manifest["graph"] if g["dtype"] == "float32" and self.takes(g, padded))
        with open(os.path.join(self.folder, entry["file"]), "rb") as file:
            program = read_program(file.read())
        x = x if x.dim() == 5 else x.to(memory_format=torch.channels_last)
        with torch.no_grad():
            output = program.graph_module(x, *self.inputs(DTYPES[entry["dtype"]]))[0]
        scale = self.manifest["scale"]
        return output[..., : height * scale, : width * scale]

    @staticmethod
    def takes(entry: dict, size: list[int]) -> bool:
        if not entry["dynamic"]:
            return [entry["height"], entry["width"]] == size
        return all(entry[f"{n}_min"] <= s <= entry[f"{n}_max"] for n, s in zip(("height", "width"), size))


class PackageResultsTest(unittest.TestCase):
    def check(self, name: str) -> Package:
        folder = fixture(name)
        package = Package(os.path.join(folder, "package"))
        for case in sorted(f for f in os.listdir(folder) if f.startswith("case-")):
            with open(os.path.join(folder, case, "case.json")) as file:
                facts = json.load(file)
            frames = self.images(folder, case, "input.bin", facts, 1)
            x = frames.unsqueeze(0) if facts["frames"] > 1 else frames
            expected = self.images(folder, case, "expected.bin", facts, facts["scale"])
            difference = (package.run(x) - expected).abs().max().item()
            self.assertLessEqual(difference, TOLERANCE * facts["range"], f"{name} {case}")
        return package

    @staticmethod
    def images(folder: str, case: str, name: str, facts: dict, scale: int) -> torch.Tensor:
        values = numpy.fromfile(os.path.join(folder, case, name), "<f4")
        values = torch.from_numpy(values).reshape(-1, facts["height"] * scale, facts["width"] * scale, 3)
        return values.permute(0, 3, 1, 2).contiguous()

    def test_published_weights(self):
        package = self.check("animevideov3")
        self.assertEqual(package.manifest["tiling"], {"kind": "exact", "halo": 18, "difference": 0.0})

    def test_module_of_three_frames(self):
        package = self.check("three_frames")
        self.assertEqual((package.manifest["frames_before"], package.manifest["frames_after"]), (1, 1))

    def test_a_missing_or_swapped_frame_changes_pixels(self):
        package = Package(os.path.join(fixture("three_frames"), "package"))
        x = networks.picture(40, 48, frames=3)
        right = package.run(x)
        for order in ((1, 1, 2), (0, 1, 1), (2, 1, 0), (0, 0, 2)):
            self.assertGreater((package.run(x[:, list(order)]) - right).abs().mean().item(), 1 / 255)


class OpenSizesTest(ImportCase):
    def test_swinir_is_right_at_every_multiple_of_its_window(self):
        from kiln_import import graph_set, trace, upscaler

        network = upscaler.load_upscaler(os.path.join(fixture("swinir"), "checkpoint.safetensors"))
        self.assertEqual(network.size.multiple, 8)
        example, least = graph_set._example(network)
        traced = trace.trace(network, torch.float32, None, example, least)
        graph_set._check_dynamic(network, traced, example, least)
        self.assertEqual(traced.height, (16, trace.SIDE_MAX))


# What the probe finds out about each: kind and halo.
TILING = {
    "compact": ("exact", 5), "esrgan": ("exact", 34), "swinir": ("exact", 27), "dat": ("whole", 0), "plksr": ("exact", 10),
    "omnisr": ("whole", 0), "realcugan": ("approximate", 8),
}  # fmt: skip


def _add_network_tests() -> None:
    open_sizes = {"compact", "esrgan", "dat", "plksr", "realcugan"}  # SwinIR's package is asked for one size
    for network in networks.NETWORKS:

        def test(self, name=network.name):
            package = self.check(name)
            self.assertEqual(all(g["dynamic"] for g in package.manifest["graph"]), name in open_sizes)
            tiling = package.manifest["tiling"]
            self.assertEqual((tiling["kind"], tiling["halo"]), TILING[name])
            limits = (0, 1 / 255) if tiling["kind"] == "approximate" else (0, 0)
            self.assertTrue(limits[0] <= tiling["difference"] <= limits[1], tiling)

        setattr(PackageResultsTest, f"test_{network.name}", test)


_add_network_tests()

if __name__ == "__main__":
    unittest.main()
