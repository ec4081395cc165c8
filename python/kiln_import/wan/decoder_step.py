"""The VAE's decoder as a step: one latent frame and the causal caches in, frames and the caches for the next step out."""

from __future__ import annotations

import torch

from .configs import VaeConfig, as_arguments

CACHE_FRAMES = 2


class DecoderStep(torch.nn.Module):
    """diffusers decodes frame by frame too, but its caches have three states (nothing, a mark, a tensor) and one or two
    frames. Here they are tensors of two frames: zeros stand for what was not there, as its convolutions pad. Nor is
    anything clamped here: where tiles overlap, diffusers blends them first."""

    def __init__(self, config: VaeConfig):
        super().__init__()
        from diffusers import AutoencoderKLWan

        vae = AutoencoderKLWan(**as_arguments(config))
        self.decoder, self.post_quant_conv = vae.decoder, vae.post_quant_conv

    def step(self, latent, caches: list, first: bool):
        position = [0]
        frames = self.decoder(self.post_quant_conv(latent), feat_cache=caches, feat_idx=position, first_chunk=first)
        return frames, caches[: position[0]]


class NextFrames(DecoderStep):
    """Of a later latent frame."""

    def forward(self, latent, *caches):
        frames, caches = self.step(latent, list(caches), first=False)
        return frames, *caches


class FirstFrame(DecoderStep):
    """Of the first latent frame, before which there is nothing."""

    def __init__(self, config: VaeConfig):
        super().__init__(config)
        self.shapes = cache_shapes(config)

    def forward(self, latent):
        frames, found = self.step(latent, [None] * len(self.shapes), first=True)
        return frames, *(self.whole(cache, shape, latent) for cache, shape in zip(found, self.shapes, strict=True))

    def whole(self, cache, shape, latent):
        if not isinstance(cache, torch.Tensor):  # the mark: nothing was there, and nothing is kept
            channels, factor = shape
            return latent.new_zeros((1, channels, CACHE_FRAMES, factor * latent.shape[3], factor * latent.shape[4]))
        return torch.nn.functional.pad(cache, (0, 0, 0, 0, CACHE_FRAMES - cache.shape[2], 0))


def cache_shapes(config: VaeConfig) -> tuple[tuple[int, int], ...]:
    """Channels of each cache, and by how much its sides are larger than the latent's; in the order of their use."""
    side = 8
    with torch.device("meta"):
        model = DecoderStep(config).eval()
        latent = torch.empty(1, config.z_dim, 1, side, side)
        count = sum(type(m).__name__ == "WanCausalConv3d" for m in model.decoder.modules())
        caches: list = [None] * count
        for first in (True, False):  # what is a mark after the first is a tensor after the second
            with torch.no_grad():
                _, found = model.step(latent, caches, first)
    return tuple((cache.shape[1], cache.shape[3] // side) for cache in found)
