"""The names that Wan's authors gave their tensors, which single files keep, as diffusers' and transformers' names."""

from __future__ import annotations

import re

TRANSFORMER_PREFIXES = ("model.diffusion_model.", "diffusion_model.")
_TRANSFORMER = (
    (r"text_embedding\.0\.", "condition_embedder.text_embedder.linear_1."),
    (r"text_embedding\.2\.", "condition_embedder.text_embedder.linear_2."),
    (r"time_embedding\.0\.", "condition_embedder.time_embedder.linear_1."),
    (r"time_embedding\.2\.", "condition_embedder.time_embedder.linear_2."),
    (r"time_projection\.1\.", "condition_embedder.time_proj."),
    (r"head\.modulation", "scale_shift_table"),
    (r"head\.head\.", "proj_out."),
    (r"patch_embedding\.", "patch_embedding."),
)
_BLOCK = (
    (r"(self_attn|cross_attn)\.([qkv])\.", r"\1.to_\2."),
    (r"(self_attn|cross_attn)\.o\.", r"\1.to_out.0."),
    (r"self_attn\.", "attn1."),
    (r"cross_attn\.", "attn2."),
    (r"ffn\.0\.", "ffn.net.0.proj."),
    (r"ffn\.2\.", "ffn.net.2."),
    (r"modulation$", "scale_shift_table"),
    (r"norm3\.", "norm2."),  # before the text: the third that was thought of, the second that runs
)
_TEXT = (
    (r"token_embedding\.", "shared."),
    (r"norm\.", "encoder.final_layer_norm."),
    (r"blocks\.(\d+)\.norm1\.", r"encoder.block.\1.layer.0.layer_norm."),
    (r"blocks\.(\d+)\.norm2\.", r"encoder.block.\1.layer.1.layer_norm."),
    (r"blocks\.(\d+)\.attn\.", r"encoder.block.\1.layer.0.SelfAttention."),
    (r"blocks\.(\d+)\.pos_embedding\.embedding\.", r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias."),
    (r"blocks\.(\d+)\.ffn\.gate\.0\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_0."),
    (r"blocks\.(\d+)\.ffn\.fc1\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_1."),
    (r"blocks\.(\d+)\.ffn\.fc2\.", r"encoder.block.\1.layer.1.DenseReluDense.wo."),
)
_VAE = (
    (r"conv1\.", "quant_conv."),
    (r"conv2\.", "post_quant_conv."),
    (r"decoder\.conv1\.", "decoder.conv_in."),
    (r"decoder\.middle\.0\.", "decoder.mid_block.resnets.0."),
    (r"decoder\.middle\.1\.", "decoder.mid_block.attentions.0."),
    (r"decoder\.middle\.2\.", "decoder.mid_block.resnets.1."),
    (r"decoder\.head\.0\.", "decoder.norm_out."),
    (r"decoder\.head\.2\.", "decoder.conv_out."),
)
_RESIDUAL = ((r"residual\.0\.", "norm1."), (r"residual\.2\.", "conv1."), (r"residual\.3\.", "norm2."),
             (r"residual\.6\.", "conv2."), (r"shortcut\.", "conv_shortcut."))  # fmt: skip
_UPSAMPLE = re.compile(r"decoder\.upsamples\.(\d+)\.")


def transformer_name(name: str) -> str:
    block = re.match(r"blocks\.\d+\.", name)
    if block is None:
        return _rename(name, _TRANSFORMER)
    rest = name[block.end() :]
    for pattern, replacement in _BLOCK:
        rest = re.sub("^" + pattern, replacement, rest)
    return block[0] + rest


def text_name(name: str) -> str:
    if name == "encoder.embed_tokens.weight":
        return "shared.weight"
    return _rename(name, _TEXT)


def vae_name(name: str, residual_blocks: int) -> str:
    """`residual_blocks`: how many of them a level of the decoder has, beside the one that all have."""
    if name.startswith("encoder."):
        return name
    level = _UPSAMPLE.match(name)
    if level is not None:
        group, place = divmod(int(level[1]), residual_blocks + 2)
        kind = "upsamplers.0" if place == residual_blocks + 1 else f"resnets.{place}"
        name = f"decoder.up_blocks.{group}.{kind}.{name[level.end() :]}"
    name = _rename(name, _VAE)
    for pattern, replacement in _RESIDUAL:
        name = re.sub(r"\." + pattern, "." + replacement, name)
    return name


def _rename(name: str, table: tuple) -> str:
    for pattern, replacement in table:
        if re.match(pattern, name):
            return re.sub("^" + pattern, replacement, name)
    return name
