"""Networks of these tests, as a user would hand them in: `kiln import module tiny_networks:double`. Two convolutions
on top of plain enlarging, so that pictures stay pictures and every pixel depends on its neighbours."""

import importlib.util
import os

import torch
from torch import nn


class TinyUpscaler(nn.Module):
    def __init__(self, scale: int, width: int, seed: int):
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.eval().requires_grad_(False).parameters():
            deviation = 0.3 / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 0.02
            parameter.copy_(deviation * torch.randn(parameter.shape, generator=generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        detail = self.shuffle(self.tail(torch.tanh(self.head(x))))
        return nn.functional.interpolate(x, scale_factor=float(self.scale)) + detail


def double() -> nn.Module:
    return TinyUpscaler(2, 8, seed=7)


def three_frames() -> nn.Module:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models", "three_frames.py")
    spec = importlib.util.spec_from_file_location("three_frames", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make()
