"""What the importers hand to the package writer: a network in memory, and what is known about it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass
class SizeRules:
    """Which inputs the network takes; Kiln pads to them on the right and below by reflection, and crops."""

    multiple: int = 1
    minimum: int = 1
    square: bool = False

    def padded(self, height: int, width: int) -> tuple[int, int]:
        def up(size: int) -> int:
            return -(-max(size, self.minimum) // self.multiple) * self.multiple

        height, width = up(height), up(width)
        return (max(height, width),) * 2 if self.square else (height, width)


@dataclass
class Network:
    module: torch.nn.Module
    kind: str  # "upscaler" or "module"
    name: str
    architecture: str
    scale: int
    source_sha256: str = ""
    channels: int = 3
    size: SizeRules = field(default_factory=SizeRules)
    frames_before: int = 0
    frames_after: int = 0
    may_tile: bool = True
    try_dynamic: bool = True
    half_precision_weights: bool = False  # the checkpoint stores float16

    @property
    def frames(self) -> int:
        return self.frames_before + 1 + self.frames_after

    def input_like(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """An input of this size, in the layout that the graphs are traced with; its content is zero."""
        if self.frames > 1:
            return torch.zeros(1, self.frames, self.channels, height, width, dtype=dtype)
        image = torch.zeros(1, self.channels, height, width, dtype=dtype)
        return image.to(memory_format=torch.channels_last)

    def fresh_module(self, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        """A copy in `dtype`: some networks keep tensors of the last call as attributes, and tracing would leave
        tensors without data there."""
        module = copy.deepcopy(self.module).to(dtype).eval()
        return module.requires_grad_(False)

    def run(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self.module(x.clone())


def pad_by_reflection(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Extends the last two dimensions to the right and below, mirroring at the last pixel without repeating it, as
    often as needed. For up to size - 1 pixels that is torch's "reflect"."""

    def indices(size: int, padded: int) -> torch.Tensor:
        period = max(2 * (size - 1), 1)
        index = torch.arange(padded) % period if size > 1 else torch.zeros(padded, dtype=torch.long)
        return torch.where(index < size, index, period - index)

    return x[..., indices(x.shape[-2], height), :][..., indices(x.shape[-1], width)]
