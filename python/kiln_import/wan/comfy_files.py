"""Reads the single files that ComfyUI's users have: transformer(s), text encoder and VAE apart. They hold no settings, so
these are read off the shapes of their tensors."""

from __future__ import annotations

import argparse
import inspect
import math
import os
import re

from ..failure import missing, refused
from .comfy_names import TRANSFORMER_PREFIXES, text_name, transformer_name, vae_name
from .configs import SchedulerConfig, TextConfig, TransformerConfig, VaeConfig, unknown_model
from .sources import ModelTensor, WanModel, WeightSet
from .stored_tensors import StoredTensor, read_tensors
from .tokenizer import TOKENIZER_BYTES_MAX, check_tokenizer

HEAD_SIZE = 128  # of every Wan model; its files do not say it
TOKENIZER_TENSOR = "spiece_model"
BOUNDARY_RATIO = 0.875  # of Wan 2.2 T2V A14B
SHIFT = {1: 5.0, 2: 12.0}  # what Wan's own programs take, by the number of experts
# Beside a weight: the number by which its stored values are multiplied.
SCALES = (("scale_weight", "weight"), ("weight_scale", "weight"))
# Say how activations may be quantised, or that weights are: nothing that changes a weight.
MARKS = re.compile(r"(^|\.)(scaled_fp8|scale_input|input_scale|comfy_quant)$")
OTHER_MODELS = (
    ("vace_blocks.", "it is VACE"), ("img_emb.", "it takes a picture beside the prompt"),
    ("control_adapter.", "it is a camera or control model"), ("audio", "it listens to sound"),
    ("condition_embedder.", "its tensors have diffusers' names: import the folder with `kiln import diffusers`"),
)  # fmt: skip

Stored = dict[str, StoredTensor]


def read_files(options: argparse.Namespace) -> WanModel:
    paths = [options.source, *([options.low_noise] if options.low_noise else [])]
    names = ("transformer", "transformer_2")
    read = [_without_prefix(read_tensors(path)) for path in paths]
    configs = [_transformer_config(path, stored) for path, stored in zip(paths, read)]
    if len(set(configs)) != 1:
        raise refused(paths[1], f"another architecture than {paths[0]}; both experts must be of one")
    text_stored, vae_stored = read_tensors(options.text_encoder), read_tensors(options.vae)
    text, text_tensors = _text(options.text_encoder, text_stored)
    vae, vae_tensors = _vae(options.vae, vae_stored)
    tokenizer = _tokenizer(options, text_stored)
    check_tokenizer(options.tokenizer or options.text_encoder, tokenizer, text.vocab_size)
    weights = [WeightSet("text_encoder", "text_encoder", options.text_encoder, text_tensors, ("lm_head.", "decoder."))]
    for name, path, stored in zip(names, paths, read):
        renamed = _with_scales(path, {key: transformer_name(key) for key in stored}, stored)
        weights.append(WeightSet(name, "transformer", path, renamed))
    weights.append(WeightSet("vae", "vae", options.vae, vae_tensors, ("encoder.", "quant_conv.")))
    ratio = (options.boundary_ratio or BOUNDARY_RATIO) if len(paths) == 2 else None
    shift = SHIFT[len(paths)]
    return WanModel(
        name=os.path.splitext(os.path.basename(options.source))[0], text=text, transformer=configs[0], vae=vae,
        scheduler=SchedulerConfig("unipc", shift), weights=weights, tokenizer=tokenizer, boundary_ratio=ratio,
        notes=[f"the files do not say how to sample: UniPC with shift {shift:g} stands in the package"
               + (f", experts change at {ratio:g}" if ratio else "")],
    )  # fmt: skip


def _without_prefix(stored: Stored) -> Stored:
    for prefix in TRANSFORMER_PREFIXES:
        if any(name.startswith(prefix) for name in stored):
            return {name.removeprefix(prefix): tensor for name, tensor in stored.items()}
    return stored


def _transformer_config(path: str, stored: Stored) -> TransformerConfig:
    for part, why in OTHER_MODELS:
        if any(part in name for name in stored):
            raise unknown_model(path, why)
    if "patch_embedding.weight" not in stored or "head.modulation" not in stored:
        raise unknown_model(path, "its tensors have not the names of Wan's transformer")
    width, channels, *patch = _shape(path, stored, "patch_embedding.weight", 5)
    out_channels = _shape(path, stored, "head.head.weight", 2)[0] // math.prod(patch)
    if channels != 16 or out_channels != channels:
        raise unknown_model(path, f"it takes {channels} channels and gives {out_channels}")
    if width % HEAD_SIZE:
        raise unknown_model(path, f"its width of {width} is no multiple of {HEAD_SIZE}")
    return TransformerConfig(
        num_attention_heads=width // HEAD_SIZE, attention_head_dim=HEAD_SIZE, in_channels=channels, out_channels=out_channels,
        text_dim=_shape(path, stored, "text_embedding.0.weight", 2)[1], freq_dim=_shape(path, stored, "time_embedding.0.weight", 2)[1],
        ffn_dim=_shape(path, stored, "blocks.0.ffn.0.weight", 2)[0], num_layers=_count(stored, r"blocks\.(\d+)\."),
        patch_size=tuple(patch),
    )  # fmt: skip


def _text(path: str, stored: Stored) -> tuple[TextConfig, dict[str, ModelTensor]]:
    stored = {name: tensor for name, tensor in stored.items() if name != TOKENIZER_TENSOR}
    tensors = _with_scales(path, {name: text_name(name) for name in stored}, stored)
    named = {name: tensor.stored for name, tensor in tensors.items()}
    attention = "encoder.block.0.layer.0.SelfAttention."
    if "shared.weight" not in named or f"{attention}relative_attention_bias.weight" not in named:
        raise refused(path, "no UMT5 text encoder by the names of its tensors; Wan needs umt5-xxl")
    vocabulary, width = _shape(path, named, "shared.weight", 2)
    buckets, heads = _shape(path, named, f"{attention}relative_attention_bias.weight", 2)
    return TextConfig(
        vocab_size=vocabulary, d_model=width, d_kv=_shape(path, named, f"{attention}q.weight", 2)[0] // max(heads, 1),
        d_ff=_shape(path, named, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight", 2)[0],
        num_layers=_count(named, r"encoder\.block\.(\d+)\."), num_heads=heads, relative_attention_num_buckets=buckets,
        relative_attention_max_distance=128, layer_norm_epsilon=1e-6,
    ), tensors  # fmt: skip


def _vae(path: str, stored: Stored) -> tuple[VaeConfig, dict[str, ModelTensor]]:
    from diffusers import AutoencoderKLWan

    ups = sorted({int(m[1]) for name in stored if (m := re.match(r"decoder\.upsamples\.(\d+)\.resample\.1\.weight", name))})
    if not ups or "conv2.weight" not in stored or "decoder.head.2.weight" not in stored:
        raise refused(path, "no VAE of Wan 2.1 by the names of its tensors")
    residual_blocks, levels = ups[0] - 1, len(ups) + 1
    z_dim = _shape(path, stored, "conv2.weight", 5)[0]
    if z_dim != 16:
        raise unknown_model(path, f"its VAE has {z_dim} channels, that of Wan 2.1 has 16")
    base = _shape(path, stored, "decoder.head.2.weight", 5)[1]
    widths = [_shape(path, stored, f"decoder.upsamples.{g * (residual_blocks + 2)}.residual.2.weight", 5)[0] for g in range(levels)]
    temporal = [f"decoder.upsamples.{up}.time_conv.weight" in stored for up in ups]
    tensors = _with_scales(path, {name: vae_name(name, residual_blocks) for name in stored}, stored)
    defaults = inspect.signature(AutoencoderKLWan.__init__).parameters
    mean, std = (tuple(defaults[name].default) for name in ("latents_mean", "latents_std"))
    return VaeConfig(
        base_dim=base, z_dim=z_dim, dim_mult=tuple(w // base for w in reversed(widths)), num_res_blocks=residual_blocks,
        temperal_downsample=tuple(reversed(temporal)), latents_mean=mean, latents_std=std,
    ), tensors  # fmt: skip


def _with_scales(path: str, names: dict[str, str], stored: Stored) -> dict[str, ModelTensor]:
    """By the new names, each weight with the scale that stands beside it."""
    scales: dict[str, StoredTensor] = {}
    for name, tensor in stored.items():
        for ending, weight in SCALES:
            if name.endswith(f".{ending}"):
                if math.prod(tensor.shape) != 1 or tensor.dtype not in ("float32", "float16", "bfloat16"):
                    raise refused(path, f"{name} is {tensor.dtype}{list(tensor.shape)}; known are scales of one number for a weight")
                scales[name.removesuffix(ending) + weight] = tensor
    loose = next((name for name in scales if name not in stored), None)
    if loose is not None:
        raise refused(path, f"{scales[loose].name} scales {loose}, which is missing; fetch the file again")
    skipped = {tensor.name for tensor in scales.values()}
    return {names[name]: ModelTensor(tensor, scales.get(name)) for name, tensor in stored.items()
            if tensor.name not in skipped and not MARKS.search(name)}  # fmt: skip


def _tokenizer(options: argparse.Namespace, stored: Stored) -> bytes:
    if options.tokenizer:
        try:
            with open(options.tokenizer, "rb") as file:
                return file.read(TOKENIZER_BYTES_MAX + 1)
        except FileNotFoundError:
            raise missing(options.tokenizer, "no such file") from None
    tensor = stored.get(TOKENIZER_TENSOR)
    if tensor is None:
        raise missing(options.text_encoder, "holds no tokenizer; name umt5-xxl's spiece.model with --tokenizer")
    with open(tensor.file, "rb") as file:
        file.seek(tensor.begin)
        return file.read(min(tensor.end - tensor.begin, TOKENIZER_BYTES_MAX + 1))


def _shape(path: str, stored: Stored, name: str, rank: int) -> tuple[int, ...]:
    tensor = stored.get(name)
    if tensor is None:
        raise refused(path, f"{name} is missing; fetch the file again")
    if len(tensor.shape) != rank or 0 in tensor.shape:
        raise refused(path, f"{name} has the shape {list(tensor.shape)}, which no Wan model has")
    return tensor.shape


def _count(stored: Stored, pattern: str) -> int:
    return 1 + max((int(m[1]) for name in stored if (m := re.match(pattern, name))), default=-1)
