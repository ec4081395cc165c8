"""Traces one component into a graph whose weights are inputs. No weight is read: shapes are all that is there."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._sympy.value_ranges import ValueRanges

from .. import graph_file
from ..failure import refused
from ..network import DTYPES
from ..trace import ASSERTIONS, explain, is_runnable, scalar_node, write_dtype
from .component import Component, factor_and_name


@dataclass(frozen=True)
class GraphBytes:
    component: str
    dtype_name: str
    data: bytes

    @property
    def file(self) -> str:
        return f"graphs/{self.component}-{self.dtype_name}.pt2"


@functools.cache
def make_graph(component: Component, dtype_name: str) -> GraphBytes:
    """Depends on nothing but the architecture: both experts, all blocks and every checkpoint of it have this graph."""
    try:
        program = _export(component, DTYPES[dtype_name])
        graph = _flatten(component, program)
        ranges = _ranges(component, graph, program.range_constraints)
        data = graph_file.to_bytes(graph_file.program_of(graph, ranges))
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError, TypeError) as error:
        raise refused(component.name, f"cannot become a graph of {dtype_name}: {explain(error)}") from None
    return GraphBytes(component.name, dtype_name, data)


class _FlatCall(torch.nn.Module):
    """The component as a function of its inputs and its parameters. Hides the module, so that nothing is captured."""

    def __init__(self, module: torch.nn.Module, names: list[str], inputs: int):
        super().__init__()
        self.__dict__.update(network=module, names=names, inputs=inputs)

    def forward(self, *values):
        named = dict(zip(self.__dict__["names"], values[self.__dict__["inputs"] :]))
        return torch.func.functional_call(self.__dict__["network"], named, values[: self.__dict__["inputs"]])


def _export(component: Component, dtype: torch.dtype):
    auto = component.infer_sizes
    dims = {d.name: Dim.AUTO(min=d.min, max=d.max) if auto else Dim(d.name, min=d.min, max=d.max) for d in component.dimensions}
    parameters = component.parameters()
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True):
        inputs = [torch.empty(component.example_shape(i), dtype=i.torch_dtype(dtype)) for i in component.inputs]
        weights = [torch.empty(p.shape, dtype=torch.float32 if p.high_precision else dtype) for p in parameters]
    open_sizes = [{at: _dim(dims, side) for at, side in enumerate(i.shape) if isinstance(side, str)} for i in component.inputs]
    shapes = {"values": (*open_sizes, *({} for _ in weights))}
    flat = _FlatCall(component.module(), [p.name for p in parameters], len(inputs))
    with torch.no_grad():
        program = torch.export.export(flat, (*inputs, *weights), dynamic_shapes=shapes, strict=False)
        return program.run_decompositions({})


def _dim(dims: dict, side: str):
    factor, name = factor_and_name(side)
    return dims[name] if factor == 1 else factor * dims[name]


def _flatten(component: Component, program) -> torch.fx.Graph:
    """Copies the graph node by node, with names of our own: torch's count what happened while tracing."""
    kinds = {s.arg.name: s.kind for s in program.graph_signature.input_specs}
    if any(s.kind != OutputKind.USER_OUTPUT for s in program.graph_signature.output_specs):
        raise ValueError("it changes its own state")
    graph = torch.fx.Graph()
    copies: dict[torch.fx.Node, torch.fx.Node] = {}
    names = iter([*(i.name for i in component.inputs), *(f"p{n}" for n in range(len(component.parameters())))])
    late = []
    for node in program.graph.nodes:
        if node.op == "placeholder" and kinds[node.name] == InputKind.USER_INPUT:
            copies[node] = graph.placeholder(next(names))
            copies[node].meta = {"val": node.meta["val"]}
        elif node.op == "placeholder":
            late.append(node)
    lifted = {s.arg.name: s.target for s in program.graph_signature.input_specs}
    for node in late:
        value = program.constants[lifted[node.name]]
        if value.dim() != 0:
            raise ValueError(f"it holds a constant of shape {list(value.shape)}")
        copies[node] = scalar_node(graph, value, node)
    for node in program.graph.nodes:
        if node.op == "placeholder" or node.target in ASSERTIONS:
            continue
        if node.op == "output":
            graph.output(tuple(copies[n] for n in node.args[0]))
            continue
        if not is_runnable(node):
            raise ValueError(f"it uses {node.target}, which is no operator that Kiln can run")
        copies[node] = graph.node_copy(node, lambda n: copies[n])
        if node.target is torch.ops.aten.empty_like.default:  # a graph reads no memory that nobody wrote
            copies[node].target = torch.ops.aten.zeros_like.default
        copies[node]._rename(f"v{len(copies)}")
        copies[node].meta = {"val": node.meta["val"]} if "val" in node.meta else {}
        write_dtype(copies[node])
    graph.eliminate_dead_code()
    return graph


def _ranges(component: Component, graph: torch.fx.Graph, found: dict) -> dict:
    """The bounds that the component declares, for the symbols that torch made of its open sizes."""
    bounds = {d.name: ValueRanges(d.min, d.max) for d in component.dimensions}
    ranges, names = {}, {}
    placeholders = [n for n in graph.nodes if n.op == "placeholder"]
    for given, node in zip(component.inputs, placeholders):
        for side, size in zip(given.shape, node.meta["val"].shape):
            if isinstance(side, str) and isinstance(size, int):
                raise ValueError(f"its input {given.name} has one size only")
            if isinstance(side, str):
                (symbol,) = size.node.expr.free_symbols  # alone, or in a multiple of it
                name = factor_and_name(side)[1]
                if names.setdefault(symbol, name) != name:
                    raise ValueError(f"its sizes {name} and {names[symbol]} must be equal")
                ranges[symbol] = bounds[name]
    unknown = [symbol for symbol in found if symbol.is_symbol and symbol not in ranges]
    if unknown:
        raise ValueError(f"a size of it ({unknown[0]}) depends on values")
    return ranges
