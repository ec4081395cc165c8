"""The components of Wan text-to-video, as functions of tensors: diffusers' and transformers' own modules, cut where
Kiln repeats, swaps or streams. Each gives what the whole model gives at that place, bit for bit in eager mode."""

from __future__ import annotations

import torch

from .component import Component, Dimension, Input
from .configs import TextConfig, TransformerConfig, VaeConfig, as_arguments
from .decoder_step import CACHE_FRAMES, FirstFrame, NextFrames, cache_shapes

BATCH = Dimension("batch", 1, 64, 2)
TEXT_TOKENS = Dimension("text_tokens", 1, 4096, 7)
TOKENS = Dimension("tokens", 1, 1 << 24, 30)
LATENT_SIDE_MAX = 2048


def components_of(text: TextConfig, transformer: TransformerConfig, vae: VaeConfig) -> list[Component]:
    return [*text_components(text), *transformer_components(transformer), *vae_components(vae)]


class TextEmbedding(torch.nn.Module):
    def __init__(self, config: TextConfig):
        super().__init__()
        self.shared = torch.nn.Embedding(config.vocab_size, config.d_model)

    def forward(self, ids):
        return self.shared(ids)


def text_block(config: TextConfig) -> torch.nn.Module:
    """One layer of the encoder; `mask` is 1 where there is a token, else 0."""
    from transformers.models.umt5.modeling_umt5 import UMT5Block

    class Block(UMT5Block):
        def forward(self, hidden, mask):
            return super().forward(hidden, attention_mask=mask[:, None, None, :].bool())

    return Block(_umt5(config), layer_idx=0)


class TextNorm(torch.nn.Module):
    def __init__(self, config: TextConfig):
        super().__init__()
        from transformers.models.umt5.modeling_umt5 import UMT5LayerNorm

        self.final_layer_norm = UMT5LayerNorm(config.d_model, eps=config.layer_norm_epsilon)

    def forward(self, hidden):
        return self.final_layer_norm(hidden)


def text_components(config: TextConfig) -> list[Component]:
    hidden = Input("hidden", ("batch", "text_tokens", config.d_model))
    given = {"part": "text_encoder", "config": config, "dimensions": (BATCH, TEXT_TOKENS)}
    return [
        Component("text_embedding", build=TextEmbedding, outputs=("hidden",),
                  inputs=(Input("ids", ("batch", "text_tokens"), "int64"),), **given),
        Component("text_block", build=text_block, outputs=("hidden",), stored_prefix="encoder.block.{}.", repeat=config.num_layers,
                  inputs=(hidden, Input("mask", ("batch", "text_tokens"), "int64")), **given),
        Component("text_norm", build=TextNorm, outputs=("hidden",), stored_prefix="encoder.", inputs=(hidden,), **given),
    ]  # fmt: skip


def _umt5(config: TextConfig):
    from transformers import UMT5Config

    return UMT5Config(**as_arguments(config), feed_forward_proj="gated-gelu", is_decoder=False, is_encoder_decoder=False,
                      use_cache=False,
                      attn_implementation="sdpa")  # fmt: skip


class Stem(torch.nn.Module):
    """Everything before the first block."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        model = _transformer(config)
        self.rope, self.patch_embedding = model.rope, model.patch_embedding
        self.condition_embedder = model.condition_embedder

    def forward(self, latents, timestep, text):
        cosines, sines = self.rope(latents)
        hidden = self.patch_embedding(latents).flatten(2).transpose(1, 2)
        time, modulation, text, _ = self.condition_embedder(timestep, text, None, timestep_seq_len=None)
        return hidden, text, time, modulation.unflatten(1, (6, -1)), cosines, sines


def block(config: TransformerConfig) -> torch.nn.Module:
    from diffusers.models.transformers.transformer_wan import WanTransformerBlock

    class Block(WanTransformerBlock):
        def forward(self, hidden, text, modulation, cosines, sines):
            return super().forward(hidden, text, modulation, (cosines, sines))

    return Block(config.width, config.ffn_dim, config.num_attention_heads, "rms_norm_across_heads",
                 config.cross_attn_norm, config.eps)  # fmt: skip


class Head(torch.nn.Module):
    """Everything behind the last block. `hidden` has its tokens laid out as frames, rows and columns."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        model = _transformer(config)
        self.norm_out, self.proj_out, self.scale_shift_table = model.norm_out, model.proj_out, model.scale_shift_table
        self.patch, self.channels = config.patch_size, config.out_channels

    def forward(self, hidden, time):
        frames, rows, columns = hidden.shape[1:4]
        shift, scale = (self.scale_shift_table + time.unsqueeze(1)).chunk(2, dim=1)
        hidden = hidden.flatten(1, 3)
        hidden = (self.norm_out(hidden.float()) * (1 + scale) + shift).type_as(hidden)
        hidden = self.proj_out(hidden)
        depth, height, width = self.patch
        hidden = hidden.reshape(-1, frames, rows, columns, depth, height, width, self.channels).permute(0, 7, 1, 4, 2, 5, 3, 6)
        return hidden.reshape(-1, self.channels, depth * frames, height * rows, width * columns)


def transformer_components(config: TransformerConfig) -> list[Component]:
    from diffusers import WanTransformer3DModel

    grid = tuple(Dimension(name, 1, config.rope_max_seq_len, example) for name, example in
                 (("frames", 3), ("rows", 4), ("columns", 5)))  # fmt: skip
    depth, height, width = config.patch_size
    latents = ("batch", config.in_channels, _times(depth, "frames"), _times(height, "rows"), _times(width, "columns"))
    hidden = Input("hidden", ("batch", "tokens", config.width))
    text = Input("text", ("batch", "text_tokens", config.width))
    rope = tuple(Input(name, (1, "tokens", 1, config.attention_head_dim), "float32") for name in ("cosines", "sines"))
    given = {"part": "transformer", "config": config, "keep_float32": tuple(WanTransformer3DModel._keep_in_fp32_modules)}
    return [
        Component("stem", build=Stem, outputs=("hidden", "text", "time", "modulation", "cosines", "sines"),
                  inputs=(Input("latents", latents), Input("timestep", ("batch",), "float32"),
                          Input("text", ("batch", "text_tokens", config.text_dim))),
                  dimensions=(BATCH, *grid, TEXT_TOKENS), tables=("rope.freqs_cos", "rope.freqs_sin"), **given),
        Component("block", build=block, outputs=("hidden",), stored_prefix="blocks.{}.", repeat=config.num_layers,
                  inputs=(hidden, text, Input("modulation", ("batch", 6, config.width)), *rope),
                  dimensions=(BATCH, TOKENS, TEXT_TOKENS), **given),
        Component("head", build=Head, outputs=("latents",), dimensions=(BATCH, *grid), infer_sizes=True,
                  inputs=(Input("hidden", ("batch", "frames", "rows", "columns", config.width)),
                          Input("time", ("batch", config.width))), **given),
    ]  # fmt: skip


def vae_components(config: VaeConfig) -> list[Component]:
    sides = tuple(Dimension(name, 1, LATENT_SIDE_MAX, example) for name, example in (("height", 6), ("width", 5)))
    latent = Input("latent", (1, config.z_dim, 1, "height", "width"))
    shapes = cache_shapes(config)
    caches = tuple(Input(f"cache_{n}", (1, channels, CACHE_FRAMES, _times(factor, "height"), _times(factor, "width")))
                   for n, (channels, factor) in enumerate(shapes))  # fmt: skip
    given = {"part": "vae", "config": config, "dimensions": sides, "outputs": ("frames", *(c.name for c in caches))}
    return [
        Component("decoder_first", build=FirstFrame, inputs=(latent,), **given),
        Component("decoder_next", build=NextFrames, inputs=(latent, *caches), **given),
    ]


def rope_tables(config: TransformerConfig) -> dict[str, torch.Tensor]:
    """Those parameters of the stem that no checkpoint holds: cosines and sines, computed in float64."""
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

    rope = WanRotaryPosEmbed(config.attention_head_dim, config.patch_size, config.rope_max_seq_len)
    return {f"rope.{name}": value.contiguous() for name, value in rope.named_buffers()}


def _transformer(config: TransformerConfig):
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(**{**as_arguments(config), "num_layers": 0})


def _times(factor: int, name: str) -> str:
    return name if factor == 1 else f"{factor}*{name}"
