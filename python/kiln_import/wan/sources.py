"""A model on disk, whatever its layout: settings of its parts, and the stored tensors of each set of weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..failure import refused
from .component import Component
from .configs import SchedulerConfig, TextConfig, TransformerConfig, VaeConfig
from .stored_tensors import StoredTensor

WEIGHT_DTYPES = ("float32", "float16", "bfloat16")
SCALED_DTYPES = ("float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True)
class ModelTensor:
    """One tensor under the name that diffusers gives it, wherever it lies."""

    stored: StoredTensor
    scale: StoredTensor | None = None  # a number by which stored values are multiplied


@dataclass
class WeightSet:
    """What one checkpoint of a part holds: both experts of Wan 2.2 are sets of the part "transformer"."""

    name: str  # "text_encoder", "transformer", "transformer_2", "vae"
    part: str
    where: str  # for messages
    tensors: dict[str, ModelTensor]
    ignored: tuple[str, ...] = ()  # beginnings of names that no component has a use for


@dataclass
class WanModel:
    name: str
    text: TextConfig
    transformer: TransformerConfig
    vae: VaeConfig
    scheduler: SchedulerConfig
    weights: list[WeightSet]
    tokenizer: bytes  # sentencepiece's model
    boundary_ratio: float | None = None
    notes: list[str] = field(default_factory=list)  # lines for the user


@dataclass(frozen=True)
class TableEntry:
    """A parameter of one repetition of a component, in one set of weights."""

    weights: str
    component: str
    index: int
    parameter: str
    tensor: ModelTensor


def tensor_table(model: WanModel, components: list[Component]) -> list[TableEntry]:
    """Every tensor of every component in every set of weights; what is missing, left over or of another shape is refused."""
    entries: list[TableEntry] = []
    for weights in model.weights:
        used = set()
        for component in (c for c in components if c.part == weights.part):
            for index in range(component.repeat):
                entries += _instance(weights, component, index, used)
        _check_left_over(weights, used)
    return entries


def _instance(weights: WeightSet, component: Component, index: int, used: set[str]) -> list[TableEntry]:
    entries = []
    for parameter in component.parameters():
        if parameter.name in component.tables:
            continue
        name = component.stored_name(parameter.name, index)
        tensor = weights.tensors.get(name)
        if tensor is None:
            raise refused(weights.where, f"{name} is missing; fetch the model again")
        if tensor.stored.shape != parameter.shape:
            raise refused(tensor.stored.file, f"{tensor.stored.name} has the shape {list(tensor.stored.shape)}; with "
                                              f"the model's settings it must be {list(parameter.shape)}")  # fmt: skip
        if tensor.stored.dtype not in (WEIGHT_DTYPES if tensor.scale is None else SCALED_DTYPES + WEIGHT_DTYPES):
            raise refused(tensor.stored.file, f"{tensor.stored.name} is of type {tensor.stored.dtype}, which no weight here has")
        used.add(name)
        entries.append(TableEntry(weights.name, component.name, index, parameter.name, tensor))
    return entries


def _check_left_over(weights: WeightSet, used: set[str]) -> None:
    for name, tensor in weights.tensors.items():
        if name not in used and not name.startswith(weights.ignored):
            raise refused(tensor.stored.file, f"{tensor.stored.name} has no place in {weights.part}: it belongs to another model")
