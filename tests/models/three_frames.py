"""A network of a user: it mixes three neighbouring frames, each in its own way, so that a frame too few, too many or in
the wrong place changes pixels. `kiln import module three_frames:make`."""

import torch
from torch import nn


class ThreeFrames(nn.Module):
    scale = 2
    frames_before = 1
    frames_after = 1

    def __init__(self):
        super().__init__()
        self.before = nn.Conv2d(3, 8, 3, padding=1)
        self.now = nn.Conv2d(3, 8, 3, padding=1)
        self.after = nn.Conv2d(3, 8, 3, padding=1)
        self.mix = nn.Conv2d(8, 3 * self.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(self.scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[1, 3 frames, 3, H, W] -> [1, 3, 2H, 2W], of the frame in the middle."""
        mixed = self.before(x[:, 0]) - 2.0 * self.after(x[:, 2]) + 1.5 * self.now(x[:, 1])
        return self.shuffle(self.mix(torch.tanh(mixed))) + nn.functional.interpolate(x[:, 1], scale_factor=2.0)


def make() -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    module = ThreeFrames().eval().requires_grad_(False)
    for parameter in module.parameters():
        deviation = 0.35 / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 0.05
        parameter.copy_(deviation * torch.randn(parameter.shape, generator=generator))
    return module
