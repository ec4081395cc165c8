"""diffusers' and transformers' names → those that Wan's authors gave, which single files have. Written from the other
side than the importer's tables, and held against diffusers' own converters."""

from __future__ import annotations

import re

TRANSFORMER = {
    "condition_embedder.text_embedder.linear_1": "text_embedding.0", "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_embedder.linear_1": "time_embedding.0", "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.time_proj": "time_projection.1", "proj_out": "head.head", "attn1": "self_attn", "attn2": "cross_attn",
    "to_out.0": "o", "to_q": "q", "to_k": "k", "to_v": "v", "ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2", ".norm2.": ".norm3.",
}  # fmt: skip
TEXT = {
    "shared": "token_embedding", "encoder.final_layer_norm": "norm", "encoder.block": "blocks", "layer.0.layer_norm": "norm1",
    "layer.1.layer_norm": "norm2", "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
    "layer.0.SelfAttention": "attn", "layer.1.DenseReluDense.wi_0": "ffn.gate.0", "layer.1.DenseReluDense.wi_1": "ffn.fc1",
    "layer.1.DenseReluDense.wo": "ffn.fc2",
}  # fmt: skip
VAE = {
    "post_quant_conv": "conv2", "quant_conv": "conv1", "conv_in": "conv1", "norm_out": "head.0", "conv_out": "head.2",
    "mid_block.resnets.0": "middle.0", "mid_block.attentions.0": "middle.1", "mid_block.resnets.1": "middle.2",
}  # fmt: skip
RESIDUAL = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6", "conv_shortcut": "shortcut"}


def replaced(name: str, table: dict[str, str]) -> str:
    for ours, theirs in table.items():
        name = name.replace(ours, theirs)
    return name


def original_transformer(name: str) -> str:
    if name.endswith("scale_shift_table"):
        return name.replace("scale_shift_table", "modulation" if name.startswith("blocks") else "head.modulation")
    return replaced(name, TRANSFORMER)


def original_text(name: str) -> str:
    return replaced(name, TEXT)


def original_vae(name: str, residual_blocks: int) -> str:
    if name.startswith("encoder.down_blocks"):
        head, number, rest = re.match(r"(encoder)\.down_blocks\.(\d+)\.(.*)", name).groups()
        return f"{head}.downsamples.{number}.{_residual(rest)}"
    found = re.match(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.(.*)", name)
    if found is None:
        middle = re.match(r"(.*mid_block\.resnets\.\d\.)(.*)", name)
        return replaced(middle[1], VAE) + _residual(middle[2]) if middle else replaced(name, VAE)
    place = int(found[3]) if found[2] == "resnets" else residual_blocks + 1
    return f"decoder.upsamples.{int(found[1]) * (residual_blocks + 2) + place}.{_residual(found[4])}"


def _residual(name: str) -> str:
    module, dot, rest = name.partition(".")
    return RESIDUAL.get(module, module) + dot + rest
