"""Packages that are missing, changed, of another format, or with a graph that is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import unittest
import zipfile
from pathlib import Path

import clips
import fixtures
from kiln_case import KilnCase


class BadPackageTest(KilnCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = clips.make(self.folder / "in.mp4", frames=2)
        self.package = self.folder / "package"
        shutil.copytree(fixtures.package("double"), self.package)

    def refuse_package(self, code: int, *words: str) -> str:
        return self.refuse(code, words, self.source, self.folder / "out.mp4", network=self.package)

    def change_byte(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def edit_manifest(self, before: str, after: str) -> None:
        manifest = self.package / "manifest.toml"
        text = manifest.read_text()
        self.assertIn(before, text)
        manifest.write_text(text.replace(before, after))

    def graph_file(self) -> Path:
        [path] = (self.package / "graphs").glob("*.pt2")
        return path

    def edit_graph(self, edit) -> None:
        """Changes the exported program and lets the manifest vouch for it, as whoever makes a package can."""
        path = self.graph_file()
        old = hashlib.sha256(path.read_bytes()).hexdigest()
        with zipfile.ZipFile(path) as archive:
            entries = [(info, archive.read(info)) for info in archive.infolist()]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for info, content in entries:
                if info.filename.endswith("models/model.json"):
                    program = json.loads(content)
                    edit(program)
                    content = json.dumps(program).encode()
                archive.writestr(zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0)), content)
        self.edit_manifest(old, hashlib.sha256(path.read_bytes()).hexdigest())

    def test_it_works_as_it_was(self):
        self.upscale(self.source, self.folder / "out.mp4", network=self.package)

    def test_edit_that_changes_nothing_works(self):
        self.edit_graph(lambda program: None)
        self.upscale(self.source, self.folder / "out.mp4", network=self.package)

    def test_missing(self):
        shutil.rmtree(self.package)
        self.refuse_package(66, str(self.package), "kiln import")

    def test_folder_without_a_manifest(self):
        (self.package / "manifest.toml").unlink()
        self.refuse_package(66, str(self.package), "kiln import")

    def test_a_file_instead_of_a_folder(self):
        shutil.rmtree(self.package)
        self.package.write_text("no package")
        self.refuse_package(65, str(self.package), "kiln import")

    def test_manifest_that_cannot_be_read(self):
        manifest = self.package / "manifest.toml"
        manifest.unlink()
        manifest.mkdir()
        self.refuse_package(65, str(self.package), "kiln import")

    def test_changed_weights(self):
        self.change_byte(self.package / "weights" / "network.safetensors")
        self.refuse_package(65, "network.safetensors")

    def test_changed_graph(self):
        self.change_byte(self.graph_file())
        self.refuse_package(65, self.graph_file().name)

    def test_missing_weights(self):
        (self.package / "weights" / "network.safetensors").unlink()
        self.refuse_package(66, "network.safetensors")

    def test_other_format_version(self):
        self.edit_manifest("format_version = 1", "format_version = 7")
        self.refuse_package(65, "manifest.toml", "7")

    def test_manifest_that_is_no_toml(self):
        (self.package / "manifest.toml").write_text("format_version = = 1\n")
        self.refuse_package(65, "manifest.toml")

    def test_manifest_that_lies_about_the_weights(self):
        self.edit_manifest("shape = [8, 3, 3, 3]", "shape = [9, 3, 3, 3]")
        self.refuse_package(65, "head.weight")

    def test_path_out_of_the_package(self):
        self.edit_manifest('file = "weights/network.safetensors"', 'file = "../../weights.safetensors"')
        self.refuse_package(65, "manifest.toml")

    def test_no_graph_of_the_clips_size(self):
        self.edit_manifest('kind = "exact"\nhalo = 2', 'kind = "whole"\nhalo = 0')
        self.edit_manifest("height_max = 8192", "height_max = 20")
        self.refuse_package(65, str(self.source), "whole frames", "36x64", "import")

    def test_operator_off_the_list(self):
        def edit(program: dict) -> None:
            nodes = program["graph_module"]["graph"]["nodes"]
            next(node for node in nodes if "tanh" in node["target"])["target"] = "torch.ops.aten.from_file.default"

        self.edit_graph(edit)
        self.refuse_package(65, "from_file", self.graph_file().name)

    def test_symbol_that_is_an_expression_of_python(self):
        def edit(program: dict) -> None:
            ranges = program["range_constraints"]
            ranges["__import__('os').system('true')"] = ranges.pop(next(iter(ranges)))

        self.edit_graph(edit)
        self.refuse_package(65, self.graph_file().name)


if __name__ == "__main__":
    unittest.main()
