"""The graphs of known networks have the hashes that are written down: on every machine, and from one change of the
importer to the next. Artifacts are found by these hashes: where one changes, every artifact of that network is made anew."""

import hashlib
import io
import os
import tomllib
import unittest
import zipfile

from case import SOURCE, fixture  # first: it says where the others are

import networks
from kiln_import import graph_set, upscaler

GOLDEN = SOURCE / "tests" / "golden" / "graphs.txt"
SIZE = (40, 48)
HALF = ("float16", "bfloat16")
ARCHITECTURES = tuple(network.name for network in networks.NETWORKS)
PACKAGES = (*ARCHITECTURES, "three_frames", "animevideov3")
FIXED = {"swinir": ("40x48",), "omnisr": ("37x45", "40x48")}  # those whose packages have graphs of fixed sizes


def graph_hash(pt2: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(pt2)) as archive:
        return hashlib.sha256(archive.read("archive/models/model.json")).hexdigest()


def written_down() -> dict[str, str]:
    rows = (line.rsplit(maxsplit=1) for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#"))
    return {name: digest for name, digest in rows}


class GoldenTest(unittest.TestCase):
    maxDiff = None

    def assert_written_down(self, found: dict[str, str]) -> None:
        golden = written_down()
        changed = {name: digest for name, digest in found.items() if golden.get(name) != digest}
        rows = "\n".join(f"{name} {digest}" for name, digest in changed.items())
        self.assertEqual(changed, {}, f"{GOLDEN} says otherwise. If every artifact is to be made anew, write there:\n{rows}")

    def test_every_row_is_looked_at(self):
        rows = {f"{name} {dtype} 40x48" for name in ARCHITECTURES for dtype in HALF}
        rows |= {f"{name} float32 {size}" for name in PACKAGES for size in FIXED.get(name, ("open",))}
        self.assertEqual(set(written_down()), rows)

    def check_package(self, name: str) -> None:
        """The graphs that the other tests use, made as a user makes them."""
        folder = os.path.join(fixture(name), "package")
        with open(os.path.join(folder, "manifest.toml"), "rb") as file:
            entries = tomllib.load(file)["graph"]
        found = {}
        for entry in entries:
            size = "open" if entry["dynamic"] else f"{entry['height']}x{entry['width']}"
            with open(os.path.join(folder, entry["file"]), "rb") as file:
                found[f"{name} {entry['dtype']} {size}"] = graph_hash(file.read())
        self.assert_written_down(found)

    def check_half_precision(self, name: str) -> None:
        network = upscaler.load_upscaler(os.path.join(fixture(name), "checkpoint.safetensors"))
        graphs, _ = graph_set.make_graphs(network, list(HALF), [SIZE], "fixed", lambda _: None)
        self.assertEqual(len(graphs), len(HALF))
        self.assert_written_down({f"{name} {g.dtype_name} {g.shape_name}": graph_hash(g.data) for g in graphs})


def _add_tests() -> None:
    for name in ARCHITECTURES:
        setattr(GoldenTest, f"test_{name}_in_half_precision", lambda self, name=name: self.check_half_precision(name))
    for name in PACKAGES:
        setattr(GoldenTest, f"test_package_of_{name}", lambda self, name=name: self.check_package(name))


_add_tests()

if __name__ == "__main__":
    unittest.main()
