"""What a part of a model with its own graph is: inputs, outputs, open sizes, and the module that computes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Dimension:
    """One open size."""

    name: str
    min: int
    max: int
    example: int  # to trace with: special in no way, and never 1, which torch would take as fixed


@dataclass(frozen=True)
class Input:
    name: str
    shape: tuple[int | str, ...]  # numbers, names of dimensions, or a multiple: "2*rows"
    dtype: str = "graph"  # of the graph, or a torch dtype's name

    def torch_dtype(self, graph: torch.dtype) -> torch.dtype:
        return graph if self.dtype == "graph" else getattr(torch, self.dtype)


@dataclass(frozen=True)
class ComponentParameter:
    name: str
    shape: tuple[int, ...]
    high_precision: bool  # float32 in a graph of whatever dtype


@dataclass(frozen=True)
class Component:
    """Equal for equal architectures: nothing here knows a checkpoint."""

    name: str
    part: str  # "text_encoder", "transformer" or "vae"
    config: object  # frozen
    build: Callable[[object], torch.nn.Module]  # on the meta device
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    stored_prefix: str = ""  # of its parameters' names in a checkpoint; "{}" is the number of the repetition
    repeat: int = 1
    tables: tuple[str, ...] = ()  # parameters that the importer computes: no checkpoint holds them
    infer_sizes: bool = False  # torch proves too little of its declared sizes; it finds the same by itself
    keep_float32: tuple[str, ...] = ()  # names of modules and parameters

    @functools.cache
    def module(self) -> torch.nn.Module:
        with torch.device("meta"):
            return self.build(self.config).eval().requires_grad_(False)

    @functools.cache
    def parameters(self) -> tuple[ComponentParameter, ...]:
        module = self.module()
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        return tuple(
            ComponentParameter(name, tuple(t.shape), name in self.tables or any(p in self.keep_float32 for p in name.split(".")))
            for name, t in tensors.items()
        )

    def stored_name(self, parameter: str, index: int) -> str:
        return self.stored_prefix.format(index) + parameter

    def example_shape(self, given: Input) -> list[int]:
        examples = {d.name: d.example for d in self.dimensions}

        def size(side: int | str) -> int:
            if isinstance(side, int):
                return side
            factor, name = factor_and_name(side)
            return factor * examples[name]

        return [size(side) for side in given.shape]


def factor_and_name(side: str) -> tuple[int, str]:
    factor, star, name = side.rpartition("*")
    return (int(factor) if star else 1), name
