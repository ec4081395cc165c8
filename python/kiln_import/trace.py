"""Traces a network into a graph whose weights are inputs, and which holds no state or constants of its own."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass

import torch
from torch.export import Dim
from torch.export.graph_signature import InputKind, OutputKind

from .failure import first_line, refused
from .network import Network

# Dynamic graphs take any size up to this: 8K video, with room for padding.
SIDE_MAX = 8192
# Nodes that only repeat what the manifest's checks already guarantee. Some bake the dtype or the device in.
ASSERTIONS = (
    torch.ops.aten._assert_tensor_metadata.default,
    torch.ops.aten._assert_scalar.default,
    torch.ops.aten._assert_async.msg,
    torch.ops.aten.sym_constrain_range_for_size.default,
)
SYMBOL_FUNCTIONS = (
    operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
    operator.getitem, torch.sym_min, torch.sym_max, torch.sym_not,
)  # fmt: skip


@dataclass
class Parameter:
    """One graph input after the frames."""

    name: str
    value: torch.Tensor  # as it is stored
    keep_dtype: bool
    channels_last: bool

    def input_value(self, dtype: torch.dtype) -> torch.Tensor:
        """The tensor in the dtype and the layout in which a graph of `dtype` takes it."""
        value = self.value if self.keep_dtype else self.value.to(dtype)
        return to_channels_last(value) if self.channels_last else value.contiguous()


def to_channels_last(value: torch.Tensor) -> torch.Tensor:
    """With the strides of the definition, also where a dimension is 1 and any stride would do."""
    out, inner, height, width = value.shape
    strides = (height * width * inner, 1, width * inner, inner)
    return torch.empty_strided(value.shape, strides, dtype=value.dtype).copy_(value)


@dataclass
class Trace:
    graph_module: torch.fx.GraphModule  # placeholders: x, then whatever `inputs` names
    inputs: list[str]  # parameter names, in the order of the placeholders after x
    constants: dict[str, Parameter]  # those inputs that are no weights of the module
    range_constraints: dict
    dtype: torch.dtype
    size: tuple[int, int] | None  # None: dynamic
    height: tuple[int, int] = (0, 0)  # bounds of a dynamic graph
    width: tuple[int, int] = (0, 0)

    def used_inputs(self) -> set[str]:
        placeholders = [n for n in self.graph_module.graph.nodes if n.op == "placeholder"][1:]
        return {name for name, node in zip(self.inputs, placeholders) if node.users}


class _FlatCall(torch.nn.Module):
    """The network as a function of x and its weights. Hides the module, so that nothing of it is captured."""

    def __init__(self, module: torch.nn.Module, names: list[str]):
        super().__init__()
        self.__dict__["network"] = module
        self.__dict__["names"] = names

    def forward(self, x, *weights):
        named = dict(zip(self.__dict__["names"], weights))
        return torch.func.functional_call(self.__dict__["network"], named, (x,))


def weights_of(network: Network) -> dict[str, Parameter]:
    """Every parameter and buffer of the module, float32 as loaded."""
    convolutions = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    kernels = {
        f"{path}.weight" if path else "weight"
        for path, module in network.module.named_modules()
        if isinstance(module, convolutions)
    }
    tensors = {**dict(network.module.named_parameters()), **dict(network.module.named_buffers())}
    return {
        name: Parameter(name, tensor.detach(), not tensor.is_floating_point(),
                        name in kernels and tensor.dim() == 4)
        for name, tensor in tensors.items()
    }  # fmt: skip


def trace(network: Network, dtype: torch.dtype, size: tuple[int, int] | None,
          example: tuple[int, int], side_min: int = 0) -> Trace:  # fmt: skip
    """`size` makes a static graph; without it both sides are symbols, and `example` is the size traced with."""
    weights = weights_of(network)
    values = [p.input_value(dtype) for p in weights.values()]
    x = network.input_like(*(size or example), dtype)
    dynamic_shapes = None
    if size is None:
        side = Dim.AUTO(min=side_min, max=SIDE_MAX)
        dynamic_shapes = {"x": {x.dim() - 2: side, x.dim() - 1: side}}
        if values:
            dynamic_shapes["weights"] = tuple({} for _ in values)
    flat = _FlatCall(network.fresh_module(dtype), list(weights))
    previous = torch.get_default_dtype()
    try:
        # Tensors that a network makes on the way (masks, tables) then have the dtype of the graph.
        torch.set_default_dtype(dtype)
        with torch.no_grad():
            program = torch.export.export(flat, (x, *values), dynamic_shapes=dynamic_shapes, strict=False)
            program = program.run_decompositions({})
    finally:
        torch.set_default_dtype(previous)
    return _flatten(program, network, list(weights), dtype, size)


def _flatten(program, network: Network, names: list[str], dtype: torch.dtype,
             size: tuple[int, int] | None) -> Trace:  # fmt: skip
    role = dict(zip(program.graph_signature.user_inputs, ["x", *names]))
    specs = program.graph_signature.output_specs
    # A network may use its input as scratch memory; weights and buffers that change are state.
    changed = [s for s in specs if s.kind != OutputKind.USER_OUTPUT and role.get(s.target) != "x"]
    if changed:
        what = role.get(changed[0].target) or changed[0].target
        raise refused(network.name, f"the network changes its own state ({what}) while it runs; "
                                    "Kiln renders frames in any order")  # fmt: skip
    outputs = [s for s in specs if s.kind == OutputKind.USER_OUTPUT]
    if len(outputs) != 1:
        raise refused(network.name, f"the network returns {len(outputs)} tensors; Kiln takes exactly one")
    graph, inputs, constants = _rebuild(program, role, outputs[0].arg.name, network)
    graph_module = torch.fx.GraphModule(torch.nn.Module(), graph)
    _check_targets(graph, network)
    result = Trace(graph_module, inputs, constants, dict(program.range_constraints), dtype, size)
    if size is None:
        result.height, result.width = _bounds(graph, result.range_constraints)
    return result


def _rebuild(program, role: dict[str, str], output: str, network: Network):
    """Copies the graph node by node: x first, the weights in their order, then lifted constants."""
    graph = torch.fx.Graph()
    copies: dict[torch.fx.Node, torch.fx.Node] = {}
    placeholders = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    lifted = {
        spec.arg.name: program.constants[spec.target]
        for spec in program.graph_signature.input_specs
        if spec.kind in (InputKind.CONSTANT_TENSOR, InputKind.BUFFER, InputKind.PARAMETER)
    }
    inputs: list[str] = []
    for index, (node_name, name) in enumerate(role.items()):
        copies[placeholders[node_name]] = _placeholder(graph, "x" if index == 0 else f"p{index - 1}",
                                                       placeholders[node_name])  # fmt: skip
        if index > 0:
            inputs.append(name)
    constants: dict[str, Parameter] = {}
    for node_name, value in lifted.items():
        node = placeholders[node_name]
        if value.dim() == 0:
            copies[node] = scalar_node(graph, value, node)
            continue
        constant = _constant(value)
        if constant.name in constants:
            copies[node] = next(c for n, c in copies.items() if c.meta.get("constant") == constant.name)
            continue
        copies[node] = _placeholder(graph, f"p{len(inputs)}", node)
        copies[node].meta["constant"] = constant.name
        constants[constant.name] = constant
        inputs.append(constant.name)
    for node in program.graph.nodes:
        if node.op == "placeholder" or (node.op == "call_function" and node.target in ASSERTIONS):
            continue
        if node.op == "output":
            source = next(n for n in program.graph.nodes if n.name == output)
            graph.output((copies[source],))
            continue
        copies[node] = graph.node_copy(node, lambda n: copies[n])
        copies[node].meta = {"val": node.meta["val"]} if "val" in node.meta else {}
        write_dtype(copies[node])
    # Scalars were made between placeholders: those must come first.
    _placeholders_first(graph)
    graph.eliminate_dead_code()
    for node in graph.nodes:
        node.meta.pop("constant", None)
    return graph, inputs, constants


def write_dtype(node: torch.fx.Node) -> None:
    """`zeros(...)` without a dtype takes the default of whoever runs it; the graph says which one it was traced with."""
    value = node.meta.get("val")
    if not isinstance(node.target, torch._ops.OpOverload) or not isinstance(value, torch.Tensor):
        return
    arguments = {a.name: a.type.kind() for a in node.target._schema.arguments}
    makes = "dtype" in arguments and "layout" in arguments and "TensorType" not in arguments.values()
    if makes and node.kwargs.get("dtype") is None:
        node.update_kwarg("dtype", value.dtype)


def _placeholder(graph: torch.fx.Graph, name: str, original: torch.fx.Node) -> torch.fx.Node:
    node = graph.placeholder(name)
    node.meta = {"val": original.meta["val"]}
    return node


def scalar_node(graph: torch.fx.Graph, value: torch.Tensor, original: torch.fx.Node) -> torch.fx.Node:
    """A lifted number becomes a node: hundreds of them as inputs would help nobody."""
    node = graph.call_function(
        torch.ops.aten.full.default, ([], value.item()),
        {"dtype": value.dtype, "device": torch.device("cpu"), "pin_memory": False},
    )  # fmt: skip
    node.meta = {"val": original.meta["val"]}
    return node


def _constant(value: torch.Tensor) -> Parameter:
    """Named by its content, so that equal constants of several graphs are stored once."""
    value = value.detach().contiguous()
    digest = hashlib.sha256(f"{value.dtype}{tuple(value.shape)}".encode())
    digest.update(value.view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return Parameter(f"constant.{digest.hexdigest()[:16]}", value, True, False)


def _placeholders_first(graph: torch.fx.Graph) -> None:
    last = None
    for node in list(graph.nodes):
        if node.op != "placeholder":
            continue
        if last is not None and node.prev is not last:
            last.append(node)
        last = node


def _check_targets(graph: torch.fx.Graph, network: Network) -> None:
    for node in graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        if not is_runnable(node):
            raise refused(network.name, f"the network uses {node.target}, which is no operator that Kiln can run")


def is_runnable(node: torch.fx.Node) -> bool:
    is_aten = isinstance(node.target, torch._ops.OpOverload) and node.target.namespace == "aten"
    return node.op == "call_function" and (is_aten or node.target in SYMBOL_FUNCTIONS)


def _bounds(graph: torch.fx.Graph, constraints: dict) -> tuple[tuple[int, int], tuple[int, int]]:
    shape = next(iter(graph.nodes)).meta["val"].shape
    sides = []
    for side in shape[-2:]:
        if isinstance(side, int):
            raise ValueError("the network's size cannot be left open")
        bounds = constraints[side.node.expr]
        sides.append((int(bounds.lower), int(bounds.upper)))
    if shape[-2].node.expr == shape[-1].node.expr:
        raise ValueError("the network takes only squares")
    return sides[0], sides[1]


def explain(error: BaseException) -> str:
    return f"torch.export refuses it ({type(error).__name__}: {first_line(error)})"
