"""Writes a traced graph as an exported program whose bytes depend on nothing but the graph."""

from __future__ import annotations

import io
import json
import zipfile

import torch
import torch.utils._pytree as pytree
from torch._export.serde.serialize import serialize
from torch.export import ExportedProgram
from torch.export.exported_program import ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.export.pt2_archive import _package, constants

from .trace import Parameter, Trace

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
GRAPH_ENTRY = "models/model.json"


def to_program(traced: Trace, parameters: list[Parameter]) -> ExportedProgram:
    """The graph with exactly these parameters as inputs, in this order, whether it uses them or not."""
    return program_of(_with_inputs(traced, parameters), traced.range_constraints)


def program_of(graph: torch.fx.Graph, range_constraints: dict) -> ExportedProgram:
    """A flat function: every placeholder is an input of the call, and nothing is state."""
    names = [n.name for n in graph.nodes if n.op == "placeholder"]
    outputs = [n.name for n in next(n for n in graph.nodes if n.op == "output").args[0]]
    signature = ExportGraphSignature(
        [InputSpec(InputKind.USER_INPUT, TensorArgument(name), None) for name in names],
        [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(name), None) for name in outputs],
    )
    in_spec = pytree.tree_flatten((tuple(range(len(names))), {}))[1]
    out_spec = pytree.tree_flatten(0 if len(outputs) == 1 else tuple(range(len(outputs))))[1]
    call = ModuleCallSignature(
        inputs=[TensorArgument(name) for name in names], outputs=[TensorArgument(name) for name in outputs],
        in_spec=in_spec, out_spec=out_spec, forward_arg_names=names,
    )  # fmt: skip
    program = ExportedProgram(
        root=torch.nn.Module(), graph=graph, graph_signature=signature, state_dict={},
        range_constraints=range_constraints, module_call_graph=[ModuleCallEntry("", call)],
        constants={},
    )  # fmt: skip
    program._guards_code = []  # sizes were tried one by one; the manifest holds the bounds
    return program


def _with_inputs(traced: Trace, parameters: list[Parameter]) -> torch.fx.Graph:
    source = traced.graph_module.graph
    originals = [n for n in source.nodes if n.op == "placeholder"]
    by_name = dict(zip(traced.inputs, originals[1:]))
    fake_mode = originals[0].meta["val"].fake_mode
    graph = torch.fx.Graph()
    copies = {}
    for name, parameter in [("x", None), *((f"p{i}", p) for i, p in enumerate(parameters))]:
        node = graph.placeholder(name)
        original = originals[0] if parameter is None else by_name.get(parameter.name)
        if original is not None:
            node.meta = dict(original.meta)
            copies[original] = node
        else:
            node.meta = {"val": fake_mode.from_tensor(
                parameter.input_value(traced.dtype), static_shapes=True)}
    for node in source.nodes:
        if node.op == "placeholder":
            continue
        if node.op == "output":
            graph.output(tuple(copies[n] for n in node.args[0]))
            continue
        copies[node] = graph.node_copy(node, lambda n: copies[n])
        copies[node]._rename(f"v{len(copies)}")  # torch's own names count what happened while tracing
        copies[node].meta = dict(node.meta)
    return graph


def to_bytes(program: ExportedProgram) -> bytes:
    """A .pt2 that torch.export.load() reads: stored entries, fixed dates, no stack traces, no example inputs."""
    archive = io.BytesIO()
    writer = zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED)
    entries = {
        "archive_format": constants.ARCHIVE_FORMAT_VALUE.encode(),
        "archive_version": constants.ARCHIVE_VERSION_VALUE.encode(),
        "byteorder": b"little",
        GRAPH_ENTRY: _canonical_json(program),
        constants.WEIGHTS_CONFIG_FILENAME_FORMAT.format("model"): b'{"config": {}}',
        constants.CONSTANTS_CONFIG_FILENAME_FORMAT.format("model"): b'{"config": {}}',
        constants.SAMPLE_INPUTS_FILENAME_FORMAT.format("model"): b"",
        ".data/version": b"6\n",
    }
    with writer:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(f"archive/{name}", ZIP_DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            writer.writestr(entry, entries[name])
    return archive.getvalue()


def _canonical_json(program: ExportedProgram) -> bytes:
    document = json.loads(serialize(program).exported_program)
    document["torch_version"] = torch.__version__.split("+")[0]  # the build's suffix does not shape the graph
    document["guards_code"] = []
    graph_module = document["graph_module"]
    graph_module["metadata"] = {}
    for node in graph_module["graph"]["nodes"]:
        node["metadata"] = {}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read_program(data: bytes) -> ExportedProgram:
    """What every reader does first; the importer checks its own work with it."""
    return torch.export.load(io.BytesIO(data))
