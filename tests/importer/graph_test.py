"""What a package's graphs look like, and that two machines would write the same bytes."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import unittest
import zipfile

from case import SOURCE, ImportCase  # first: it says where the others are

import networks
import safetensors.torch

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    scale = 2
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.register_buffer("table", torch.linspace(0, 1, 12).view(1, 12, 1, 1))
        self.register_buffer("order", torch.arange(12).flip(0))
        self.fc = nn.Linear(12, 12)
    def forward(self, x):
        y = self.conv(x).relu_() * self.table
        y = y[:, self.order] + torch.tensor([[[[0.25]], [[0.5]], [[0.75]]]]).repeat(1, 4, 1, 1).to(x.dtype)
        y[:, :2] = y[:, 2:4] * 2
        mask = torch.zeros(1, 12)  # of the default dtype: in a half-precision graph that must be half
        mask[:, :5] = 1
        y = y + self.fc(mask).view(1, 12, 1, 1)
        return nn.functional.pixel_shuffle(y, 2)

def make():
    net = Net().requires_grad_(False)
    for value in net.parameters():  # not drawn: random numbers depend on the machine's vector instructions
        value.copy_((torch.arange(value.numel()) * 37 % 101 / 101 - 0.5).view_as(value))
    return net
"""


class GraphTest(ImportCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import tempfile

        cls.shared = tempfile.mkdtemp(prefix="kiln-graphs-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        with open(os.path.join(cls.shared, "net.py"), "w") as file:
            file.write(MODULE)
        network = next(n for n in networks.NETWORKS if n.name == "plksr")
        tensors = {k: v.contiguous() for k, v in networks.build(network).state_dict().items()}
        safetensors.torch.save_file(tensors, os.path.join(cls.shared, "plksr.safetensors"))
        # The second as on another machine: other vector instructions, another number of threads.
        cls.packages = [cls.make_elsewhere("one", 1, {}),
                        cls.make_elsewhere("another place", 3, {"ATEN_CPU_CAPABILITY": "default"})]  # fmt: skip

    @classmethod
    def make_elsewhere(cls, place: str, threads: int, machine: dict[str, str]) -> str:
        """Two imports in a process of their own: sources, working folder, hash seed and threads differ from place to
        place."""
        folder = os.path.join(cls.shared, place)
        shutil.copytree(SOURCE / "python" / "kiln_import", os.path.join(folder, "sources", "kiln_import"))
        shutil.copy(os.path.join(cls.shared, "net.py"), folder)
        code = (
            "import sys; from kiln_import.__main__ import main;"
            f"sys.exit(main(['upscaler', {os.path.join(cls.shared, 'plksr.safetensors')!r}, '-o', 'upscaler',"
            f" '--threads', '{threads}'])"
            f" or main(['module', 'net:make', '-o', 'module', '--tile-shape', '16x24', '--threads', '{threads}']))"
        )
        environment = {
            **os.environ, **machine, "PYTHONPATH": os.path.join(folder, "sources"), "PYTHONHASHSEED": str(len(place)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        return folder

    def files(self, folder: str) -> dict[str, bytes]:
        found = {}
        for kind in ("upscaler", "module"):
            for base, _, names in os.walk(os.path.join(folder, kind)):
                for name in names:
                    path = os.path.join(base, name)
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, folder)] = file.read()
        return found

    def test_two_processes_write_the_same_bytes(self):
        first, second = (self.files(folder) for folder in self.packages)
        self.assertEqual(sorted(first), sorted(second))
        self.assertEqual([name for name in first if first[name] != second[name]], [])
        self.assertEqual(sum(name.endswith(".pt2") for name in first), 6)  # two packages, three dtypes

    def test_graphs_say_nothing_of_where_they_were_made(self):
        for name, data in self.files(self.packages[0]).items():
            for trace in (self.shared, "site-packages", "nn_module_stack", "stack_trace", "source_fn", "torch_fn", ".py"):
                self.assertNotIn(trace.encode(), data, name)

    def graphs(self):
        for folder in ("upscaler", "module"):
            root = os.path.join(self.packages[0], folder)
            with open(os.path.join(root, "manifest.toml"), "rb") as file:
                manifest = tomllib.load(file)
            for entry in manifest["graph"]:
                with zipfile.ZipFile(os.path.join(root, entry["file"])) as archive:
                    yield manifest, entry, archive, json.loads(archive.read("archive/models/model.json"))

    def test_archive_is_stored_with_fixed_dates_and_no_example_inputs(self):
        for _, entry, archive, _ in self.graphs():
            for item in archive.infolist():
                self.assertEqual((item.compress_type, item.date_time[0]), (zipfile.ZIP_STORED, 1980), entry["file"])
            self.assertEqual(archive.read("archive/data/sample_inputs/model.pt"), b"")

    def test_inputs_are_flat_and_there_is_no_state(self):
        for manifest, entry, _, document in self.graphs():
            graph, signature = document["graph_module"]["graph"], document["graph_module"]["signature"]
            names = [i["as_tensor"]["name"] for i in graph["inputs"]]
            self.assertEqual(names, ["x", *(f"p{i}" for i in range(len(manifest["parameter"])))], entry["file"])
            self.assertTrue(all(list(s) == ["user_input"] for s in signature["input_specs"]))
            self.assertEqual([list(s) for s in signature["output_specs"]], [["user_output"]])
            targets = {n["target"] for n in graph["nodes"]}
            self.assertTrue(all(t.startswith(("torch.ops.aten.", "_operator.", "torch.sym_")) for t in targets), targets)
            self.assertFalse(any("_assert" in t for t in targets), targets)
            self.assertTrue(all(n["metadata"] == {} for n in graph["nodes"]))

    def test_graphs_are_compiled_for_another_device_than_that_of_the_import(self):
        from kiln_compile import program

        seen = 0
        for _, entry, archive, _ in self.graphs():
            graph = program.read_graph(archive.read("archive/models/model.json"), "meta")  # a card, where none is
            values = [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")]
            if not all(isinstance(size, int) for value in values for size in value.shape):
                continue
            inputs = [{"shape": [[size, size] for size in value.shape], "strides": list(value.stride()),
                       "dtype": str(value.dtype).removeprefix("torch.")} for value in values]  # fmt: skip
            static, _ = program.specialise(graph, inputs, "meta")  # tensors that the graph makes itself are there too
            values = [node.meta["val"] for node in static.graph.nodes if "val" in node.meta]
            made = [value.device.type for value in values if hasattr(value, "device")]
            self.assertEqual(set(made), {"meta"}, entry["file"])
            seen += 1
        self.assertEqual(seen, 3)  # the module's

    def test_parameters_have_the_manifests_shape_layout_and_dtype(self):
        numbers = {"float32": 7, "float16": 6, "bfloat16": 13, "int64": 5}
        for manifest, entry, _, document in self.graphs():
            values = document["graph_module"]["graph"]["tensor_values"]
            for index, parameter in enumerate(manifest["parameter"]):
                value = values[f"p{index}"]
                sizes = [s["as_int"] for s in value["sizes"]]
                self.assertEqual(sizes, parameter["shape"])
                dtype = parameter["dtype"] if parameter["keep_dtype"] else entry["dtype"]
                self.assertEqual(value["dtype"], numbers[dtype], parameter["name"])
                if parameter["channels_last"]:
                    self.assertEqual([s["as_int"] for s in value["strides"]],
                                     [sizes[1] * sizes[2] * sizes[3], 1, sizes[3] * sizes[1], sizes[1]])  # fmt: skip
            strides = [s.get("as_int") for s in values["x"]["strides"]]
            self.assertEqual((strides[1], strides[3]), (1, 3), "frames are channels_last")

    def test_buffers_and_constants_are_parameters(self):
        manifest = next(m for m, _, _, _ in self.graphs() if m["kind"] == "module")
        by_name = {p["name"]: p for p in manifest["parameter"]}
        self.assertTrue({"conv.weight", "conv.bias", "table", "order"} <= set(by_name))
        self.assertTrue(by_name["order"]["keep_dtype"])
        self.assertTrue(by_name["conv.weight"]["channels_last"])
        self.assertEqual(len([n for n in by_name if n.startswith("constant.")]), len(by_name) - 6)
        self.assertGreater(len(by_name), 6)

    def test_fixed_sizes_are_those_asked_for(self):
        sizes = [(e["height"], e["width"]) for m, e, _, _ in self.graphs() if m["kind"] == "module"]
        self.assertEqual(sizes, [(16, 24)] * 3)


if __name__ == "__main__":
    unittest.main()
