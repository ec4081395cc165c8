"""Small networks of every supported architecture, with seeded weights that make a test fail where it should.

Plain random weights hide mistakes: residual blocks hardly change their input, and swapping two of them is not seen.
So the weights are scaled until each repeated block changes its input by at least a tenth, and the output spreads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

BLOCK_CHANGE_MIN = 0.10
BLOCK_CHANGE_AIM = 0.15
OUTPUT_DEVIATION_MIN = 0.1
HEAD_DEVIATION = 0.25
SCALING_STEPS_MAX = 60


@dataclass(frozen=True)
class Block:
    """A stretch of the network that is repeated: what enters `first` and leaves `last`."""

    modules: tuple[nn.Module, ...]

    def parameters(self) -> list[nn.Parameter]:
        return [p for m in self.modules for p in m.parameters()]


@dataclass(frozen=True)
class TinyNetwork:
    name: str
    make: Callable[[], nn.Module]
    blocks: Callable[[nn.Module], list[Block]]
    head: Callable[[nn.Module], nn.Module]  # the last layer that has weights
    swap: tuple[int, int] = (0, 1)  # two blocks of one shape
    arguments: tuple[str, ...] = ()  # for `kiln import`
    sizes: tuple[tuple[int, int], ...] = ((40, 48), (37, 45))
    tags: tuple[str, ...] = field(default=())


def _compact() -> nn.Module:
    from spandrel.architectures.Compact import Compact

    return Compact(num_feat=16, num_conv=3, upscale=4)


def _esrgan() -> nn.Module:
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=16, num_blocks=2, scale=2)


def _swinir() -> nn.Module:
    from spandrel.architectures.SwinIR import SwinIR

    return SwinIR(img_size=16, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=8, mlp_ratio=2, upscale=2,
                  upsampler="pixelshuffledirect")  # fmt: skip


def _dat() -> nn.Module:
    from spandrel.architectures.DAT import DAT

    return DAT(img_size=16, embed_dim=32, split_size=[4, 8], depth=[3], num_heads=[2], expansion_factor=2.0, upscale=2,
               upsampler="pixelshuffledirect")  # fmt: skip


def _plksr() -> nn.Module:
    from spandrel.architectures.PLKSR import PLKSR

    return PLKSR(dim=16, n_blocks=2, upscaling_factor=2, kernel_size=5)


def _omnisr() -> nn.Module:
    from spandrel.architectures.OmniSR import OmniSR

    return OmniSR(num_feat=16, block_num=1, res_num=2, window_size=8, up_scale=2)


def _realcugan() -> nn.Module:
    from spandrel.architectures.RealCUGAN import UpCunet2x

    return UpCunet2x()


def _alone(modules) -> list[Block]:
    return [Block((m,)) for m in modules]


NETWORKS = (
    TinyNetwork("compact", _compact, lambda m: [Block((m.body[i], m.body[i + 1])) for i in range(2, 8, 2)],
                lambda m: m.body[-1]),
    TinyNetwork("esrgan", _esrgan, lambda m: _alone(m.model[1].sub[:2]), lambda m: m.model[-1]),
    TinyNetwork("swinir", _swinir, lambda m: _alone(b for r in m.layers for b in r.residual_group.blocks),
                lambda m: m.upsample[0], swap=(0, 2), arguments=("--tile-shape", "40x48")),
    TinyNetwork("dat", _dat, lambda m: _alone(m.layers[0].blocks), lambda m: m.upsample[0], swap=(0, 2)),
    TinyNetwork("plksr", _plksr, lambda m: _alone(m.feats[1:3]), lambda m: m.feats[-1]),
    TinyNetwork("omnisr", _omnisr, lambda m: _alone(m.residual_layer), lambda m: m.up[0],
                arguments=("--tile-shape", "40x48", "--tile-shape", "37x45")),
    TinyNetwork("realcugan", _realcugan, lambda m: _alone((m.unet1.conv3, m.unet2.conv5)),
                lambda m: m.unet2.conv_bottom),
)  # fmt: skip


def picture(height: int, width: int, frames: int = 0, seed: int = 5) -> torch.Tensor:
    """[1, 3, H, W], or [1, T, 3, H, W]: smooth, with noise, in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    shape = (max(frames, 1), 3, height, width)
    coarse = torch.rand((shape[0], 3, 6, 7), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    result = (smooth + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1)
    return result.unsqueeze(0) if frames else result.to(memory_format=torch.channels_last)


def build(network: TinyNetwork) -> nn.Module:
    torch.manual_seed(1)  # the constructors draw numbers too
    module = network.make().eval().requires_grad_(False)
    _draw_weights(module, sum(map(ord, network.name)))
    x = picture(*network.sizes[0])
    for block in network.blocks(module):
        _scale_block(module, block, x)
    _scale_head(module, network.head(module), x)
    return module


def _draw_weights(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def normal(shape: torch.Size, deviation: float, mean: float = 0.0) -> torch.Tensor:
        return mean + deviation * torch.randn(shape, generator=generator)

    for owner in module.modules():
        for name, value in owner.named_parameters(recurse=False):
            if name == "weight" and value.dim() >= 2:
                value.copy_(normal(value.shape, math.sqrt(1.6 / value[0].numel())))
            elif isinstance(owner, nn.PReLU):
                value.copy_(normal(value.shape, 0.05, 0.25))
            elif name in ("weight", "temperature"):
                value.copy_(normal(value.shape, 0.1, 1.0))
            else:
                value.copy_(normal(value.shape, 0.1))
        for name, value in owner.named_buffers(recurse=False):
            if name == "running_mean":
                value.copy_(normal(value.shape, 0.1))
            elif name == "running_var":
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))


def block_change(module: nn.Module, block: Block, x: torch.Tensor) -> float:
    """How much the block changes what enters it, as a part of it."""
    seen = {}
    before = block.modules[0].register_forward_pre_hook(lambda _m, a: seen.update(before=a[0].clone()))
    after = block.modules[-1].register_forward_hook(lambda _m, _a, out: seen.update(after=out.clone()))
    try:
        with torch.no_grad():
            module(x.clone())
    finally:
        before.remove(), after.remove()
    if seen["before"].shape != seen["after"].shape:
        # Convolutions without padding: what is left is the middle.
        border = (seen["before"].shape[-1] - seen["after"].shape[-1]) // 2
        seen["before"] = seen["before"][..., border:-border, border:-border]
    return ((seen["after"] - seen["before"]).norm() / seen["before"].norm()).item()


def _scale_block(module: nn.Module, block: Block, x: torch.Tensor) -> None:
    for _ in range(SCALING_STEPS_MAX):
        if block_change(module, block, x) >= BLOCK_CHANGE_AIM:
            return
        for parameter in block.parameters():
            if parameter.dim() >= 2:
                parameter.mul_(1.15)
    raise AssertionError("a block that no scaling makes felt")


def _scale_head(module: nn.Module, head: nn.Module, x: torch.Tensor) -> None:
    seen = {}
    hook = head.register_forward_hook(lambda _m, _a, out: seen.update(out=out.clone()))
    with torch.no_grad():
        module(x.clone())
    hook.remove()
    for parameter in head.parameters():
        parameter.mul_(HEAD_DEVIATION / seen["out"].std().item())


def swap_blocks(module: nn.Module, network: TinyNetwork) -> None:
    first, second = (network.blocks(module)[i].parameters() for i in network.swap)
    for a, b in zip(first, second, strict=True):
        kept = a.clone()
        a.copy_(b), b.copy_(kept)


def spandrel_forward(descriptor, x: torch.Tensor) -> torch.Tensor:
    """spandrel's own forward (padding and crop are its own), without its clamp to 0..1, which would hide errors."""
    from spandrel.__helpers.size_req import pad_tensor

    height, width = x.shape[-2:]
    with torch.inference_mode():
        padded = pad_tensor(x.contiguous(), descriptor.size_requirements)[1]
        output = descriptor.model(padded)[..., : height * descriptor.scale, : width * descriptor.scale]
        if not torch.equal(output.clamp(0, 1), descriptor(x.contiguous())):
            raise AssertionError("this is no longer what spandrel computes")
    return output
