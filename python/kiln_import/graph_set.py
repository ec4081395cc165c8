"""Makes all graphs of a package, tries each of them against the network, and drops what does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils._sympy.value_ranges import ValueRanges

from . import graph_file
from .failure import ImportFailure, first_line, refused
from .network import DTYPES, Network
from .tiling_probe import test_picture
from .trace import Parameter, Trace, explain, trace, weights_of

# Static graphs are made for these tiles unless others are asked for.
TILE_SHAPES = ((128, 128), (256, 256))
EXAMPLE = (45, 37)
# A graph with more of these is made for fixed sizes, unless asked otherwise.
OPEN_VIEWS_MAX = 400
VIEWS = ("aten.view", "aten.reshape", "aten._unsafe_view", "aten.expand", "aten.permute", "aten.slice")
SIDES_MIN = (4, 8, 16, 24, 32, 48, 64)
# Part of the output's range by which a graph may differ from the network: rounding in another order.
DIFFERENCE_MAX = 2e-5
# Half precision is judged loosely: it is the network's own rounding. This only finds what is broken.
HALF_DIFFERENCE_MAX = 0.25

Progress = Callable[[str], None]
# The network's own float32 result for the test picture of each size, where several graphs are held against it.
Results = dict[tuple[int, int], torch.Tensor]


@dataclass
class Graph:
    traced: Trace
    dtype_name: str
    data: bytes = b""

    @property
    def shape_name(self) -> str:
        return "dynamic" if self.traced.size is None else "{}x{}".format(*self.traced.size)

    @property
    def file(self) -> str:
        return f"graphs/network-{self.dtype_name}-{self.shape_name}.pt2"


def make_graphs(network: Network, dtypes: list[str], tile_shapes: list[tuple[int, int]], sizes: str,
                progress: Progress) -> tuple[list[Graph], list[Parameter]]:  # fmt: skip
    """`sizes`: "open" or "fixed" where the user chose, else "any"."""
    graphs: list[Graph] = []
    if sizes == "open" or (sizes == "any" and not tile_shapes and _may_stay_open(network, progress)):
        graphs = _dynamic_graphs(network, dtypes, progress)
    if not graphs:
        graphs = _static_graphs(network, dtypes, tile_shapes or list(TILE_SHAPES), progress)
    if not any(g.dtype_name == dtypes[0] for g in graphs):
        raise refused(network.name, "no graph of it gives the network's own results")
    used = set().union(*(g.traced.used_inputs() for g in graphs))
    parameters = [p for p in weights_of(network).values() if p.name in used]
    constants = {name: p for g in graphs for name, p in g.traced.constants.items()}
    parameters += [constants[name] for name in sorted(constants) if name in used]
    for graph in graphs:
        program = graph_file.to_program(graph.traced, parameters)
        graph.data = graph_file.to_bytes(program)
    _check_files(network, graphs, parameters)
    return graphs, parameters


def _may_stay_open(network: Network, progress: Progress) -> bool:
    """Tracing with open sizes reasons about every view in the graph: seconds for convolutions, hours for a large
    transformer, whose graphs are then made for a few sizes instead."""
    if not network.try_dynamic:
        return False
    size = network.size.padded(*EXAMPLE)
    try:
        nodes = trace(network, torch.float32, size, size).graph_module.graph.nodes
    except ImportFailure:
        raise
    except Exception:
        return False  # the static graphs will say why
    views = sum(1 for node in nodes if str(node.target).startswith(VIEWS))
    if views > OPEN_VIEWS_MAX:
        progress(f"too large to leave its size open ({views} views); making graphs of fixed sizes")
    return views <= OPEN_VIEWS_MAX


def _dynamic_graphs(network: Network, dtypes: list[str], progress: Progress) -> list[Graph]:
    graphs: list[Graph] = []
    example, side_min = _example(network)
    for name in dtypes:
        progress(f"tracing {name}, any size")
        try:
            traced = trace(network, DTYPES[name], None, example, side_min)
            if not graphs:
                _check_dynamic(network, traced, example, side_min)
            else:
                _set_bounds(traced, graphs[0].traced.height)  # the same nodes in another dtype
        except ImportFailure:
            raise
        except Exception as error:
            progress(f"its size cannot be left open: {explain(error)}")
            return []
        if _holds(network, traced, example, progress):
            graphs.append(Graph(traced, name))
    return graphs


def _static_graphs(network: Network, dtypes: list[str], shapes: list[tuple[int, int]],
                   progress: Progress) -> list[Graph]:  # fmt: skip
    sizes = sorted({network.size.padded(*shape) for shape in shapes})
    expected: Results = {}
    return [graph for name in dtypes for graph in _graphs_of_dtype(network, name, sizes, expected, progress)]


def _graphs_of_dtype(network: Network, dtype_name: str, sizes: list[tuple[int, int]], expected: Results,
                     progress: Progress) -> list[Graph]:  # fmt: skip
    """One for each size, or none at all: what overflows at one size is not to be trusted at another."""
    graphs: list[Graph] = []
    for size in sizes:
        progress(f"tracing {dtype_name}, {size[0]}x{size[1]}")
        try:
            traced = trace(network, DTYPES[dtype_name], size, size)
        except ImportFailure:
            raise
        except Exception as error:
            raise refused(network.name, f"{network.architecture} cannot become a graph: {explain(error)}") from None
        if not _holds(network, traced, size, progress, expected):
            return []
        graphs.append(Graph(traced, dtype_name))
    return graphs


def _example(network: Network) -> tuple[tuple[int, int], int]:
    """A size to trace with that is special in no way, and the smallest one to allow."""
    multiple = network.size.multiple

    def up(side: int) -> int:
        return -(-side // multiple) * multiple

    side_min = up(max(network.size.minimum, SIDES_MIN[0]))
    height, width = up(max(EXAMPLE[0], side_min + 13)), up(max(EXAMPLE[1], side_min + 5))
    if multiple == 1:
        height, width = height | 1, width | 1
    return (height + multiple if height == width else height, width), side_min


def _check_dynamic(network: Network, traced: Trace, example: tuple[int, int], side_min: int) -> None:
    """Tries sizes of every kind, and raises the smallest size that is allowed to the smallest that is right."""
    multiple = network.size.multiple
    side_min = max(side_min, traced.height[0], traced.width[0])
    height, width = (-(-side // multiple) * multiple for side in example)
    for step_y, step_x in ((1, 0), (0, 1), (3, 3), (8, 5)):
        size = height + step_y * multiple, width + step_x * multiple
        _compare(network, traced, size)
    for square in (64, 48):
        if square % multiple == 0 and square >= side_min:
            _compare(network, traced, (square, square))
    for side in SIDES_MIN:
        side = -(-max(side, side_min) // multiple) * multiple
        if all(_agrees(network, traced, (side + y, side + x)) for y, x in ((0, 0), (0, multiple), (multiple, 0))):
            break
    else:
        raise ValueError("small sizes give wrong results")
    _set_bounds(traced, (side, traced.height[1] // multiple * multiple))


def _set_bounds(traced: Trace, bounds: tuple[int, int]) -> None:
    traced.range_constraints = {symbol: ValueRanges(*bounds) for symbol in traced.range_constraints}
    traced.height = traced.width = bounds


def _agrees(network: Network, traced: Trace, size: tuple[int, int]) -> bool:
    try:
        _compare(network, traced, size)
        return True
    except Exception:
        return False


def _compare(network: Network, traced: Trace, size: tuple[int, int], known: Results | None = None) -> None:
    x = test_picture(network, *size)
    expected = network.run(x) if known is None or size not in known else known[size]
    if known is not None:
        known[size] = expected
    output = _run(network, traced, x)
    limit = DIFFERENCE_MAX if traced.dtype == torch.float32 else HALF_DIFFERENCE_MAX
    limit *= max(1.0, (expected.max() - expected.min()).item())
    if output.shape != expected.shape or not (output.float() - expected).abs().max().item() <= limit:
        raise ValueError(f"at {size[0]}x{size[1]} the graph's result is not the network's")


def _run(network: Network, traced: Trace, x: torch.Tensor) -> torch.Tensor:
    weights = {**weights_of(network), **traced.constants}
    values = [weights[name].input_value(traced.dtype) for name in traced.inputs]
    with torch.no_grad():
        return traced.graph_module(x.to(traced.dtype), *values)[0]


def _holds(network: Network, traced: Trace, size: tuple[int, int], progress: Progress,
           known: Results | None = None) -> bool:  # fmt: skip
    """float32 must hold; a half-precision graph that overflows is left out, with a line that says so."""
    try:
        _compare(network, traced, size, known)
        return True
    except NotImplementedError:
        return traced.dtype != torch.float32  # this CPU has no such kernel; a GPU has
    except Exception as error:
        if traced.dtype == torch.float32:
            raise refused(network.name, f"its graph does not give the network's own results: {first_line(error)}") from None
        progress(f"left out {traced.dtype}: {first_line(error)}")
        return False


def _check_files(network: Network, graphs: list[Graph], parameters: list[Parameter]) -> None:
    """Reads back what was written, as every reader will, and runs the first one."""
    for index, graph in enumerate(graphs):
        program = graph_file.read_program(graph.data)
        names = [n for n in program.graph.nodes if n.op == "placeholder"]
        if len(names) != 1 + len(parameters):
            raise refused(network.name, "a graph that was written does not read back as it was")
        if index == 0:
            size = graph.traced.size or _example(network)[0]
            x = test_picture(network, *size)
            values = [p.input_value(graph.traced.dtype) for p in parameters]
            with torch.no_grad():
                output = program.graph_module(x.to(graph.traced.dtype), *values)[0]
            if not torch.equal(output, _run(network, graph.traced, x)):
                raise refused(network.name, "a graph that was written does not run as it did")
