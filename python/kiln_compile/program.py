"""From the bytes of a checked exported program to the graph that is compiled."""

from __future__ import annotations

import torch
import torch.export.passes
from torch._export.serde.serialize import SerializedArtifact, deserialize
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx


class RequestError(Exception):
    """What is asked for does not fit the graph."""


def read_graph(graph_json: bytes, device: str) -> torch.fx.GraphModule:
    """The graph alone: no weights, no constants, no example inputs, so no pickle is ever opened.
    `device` is "cpu" or "cuda:0"; graphs are traced on the CPU and moved here."""
    artifact = SerializedArtifact(exported_program=graph_json, state_dict={}, constants={}, example_inputs=b"")
    program = deserialize(artifact)
    if program.state_dict or program.constants:
        raise RequestError("the graph holds tensors of its own; parameters must be inputs")
    if device != "cpu":
        program = torch.export.passes.move_to_device_pass(program, device)
        program.graph_module.recompile()  # the pass changes nodes; what is called is the code that was made of them before
    return program.graph_module


def specialise(graph: torch.fx.GraphModule, inputs: list[dict], device: str) -> tuple[torch.fx.GraphModule, list]:
    """The graph for exactly these sizes, and fake tensors to call it with: symbols become numbers, so that
    loops have known bounds and no guard is left."""
    _check_inputs(graph, inputs)
    with FakeTensorMode():
        arguments = [_tensor_like(spec, device) for spec in inputs]
        static = make_fx(graph, tracing_mode="fake")(*arguments)
    return static, arguments


def keep_dynamic(graph: torch.fx.GraphModule, inputs: list[dict]) -> tuple[torch.fx.GraphModule, list]:
    """The graph as exported, for a range of sizes, on the device where it was read to."""
    _check_inputs(graph, inputs)
    arguments = [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")]
    return graph, arguments


def is_static(inputs: list[dict]) -> bool:
    return all(low == high for spec in inputs for low, high in spec["shape"])


def describe_outputs(static: torch.fx.GraphModule) -> list[dict]:
    """What a run returns, as the graph says: shapes as ranges, like the request's."""
    node = next(iter(static.graph.find_nodes(op="output")))
    outputs = node.args[0] if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
    return [_describe(output.meta["val"]) for output in outputs]


def _describe(value: torch.Tensor) -> dict:
    static = all(isinstance(size, int) for size in value.shape)
    ranges = [[size, size] if isinstance(size, int) else _bounds(size) for size in value.shape]
    return {
        "shape": ranges,
        "dtype": str(value.dtype).removeprefix("torch."),
        "strides": list(value.stride()) if static else [],
    }


def _bounds(size: torch.SymInt) -> list[int]:
    bounds = size.node.shape_env.bound_sympy(size.node.expr)
    return [int(bounds.lower), int(min(bounds.upper, 2**40))]


def _tensor_like(spec: dict, device: str) -> torch.Tensor:
    shape = [low for low, _ in spec["shape"]]
    return torch.empty_strided(shape, spec["strides"], dtype=getattr(torch, spec["dtype"]), device=device)


def _check_inputs(graph: torch.fx.GraphModule, inputs: list[dict]) -> None:
    placeholders = list(graph.graph.find_nodes(op="placeholder"))
    if len(placeholders) != len(inputs):
        raise RequestError(f"the graph has {len(placeholders)} inputs, the request {len(inputs)}")
    for node, spec in zip(placeholders, inputs):
        value = node.meta["val"]
        if not isinstance(value, torch.Tensor):
            raise RequestError(f"input {node.name} of the graph is no tensor")
        if str(value.dtype) != f"torch.{spec['dtype']}" or value.dim() != len(spec["shape"]):
            raise RequestError(f"input {node.name}: the graph has {value.dtype} of {value.dim()} dimensions")
        for size, (low, high) in zip(value.shape, spec["shape"]):
            if isinstance(size, int) and (low != size or high != size):
                raise RequestError(f"input {node.name}: the graph has size {size}, the request {low}..{high}")
