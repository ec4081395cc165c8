"""Recognises a network that was converted to ncnn, and gives its weights the names that its checkpoint had.

Three families are known: the two that Real-ESRGAN publishes, and RealCUGAN. The layer list is compared with what such a
network looks like, so that another one is refused rather than read in the wrong order."""

from __future__ import annotations

import torch

from . import ncnn_realcugan
from .failure import refused
from .ncnn_file import READ_HERE, Layer, read_layers, read_weights

NEAREST, BICUBIC = "1", "3"
# All layers of the first two. Any other kind may have weights in an order that is not known here.
KINDS = {"Input", "Split", "Convolution", "PReLU", "PixelShuffle", "Interp", "BinaryOp", "Concat", "Eltwise"}
# Outputs, side, padding, bias, number of weights, activation and its slope: whatever else is said, changes the result.
CONVOLUTION_OPTIONS = {"0", "1", "4", "5", "6", "9", "-23310"}


def read(param_path: str, bin_path: str) -> dict[str, torch.Tensor]:
    layers = read_layers(param_path)
    if ncnn_realcugan.resembles(layers):
        return ncnn_realcugan.read(param_path, bin_path, layers)
    foreign = next((layer for layer in layers if layer.kind not in KINDS), None)
    if foreign is not None:
        raise refused(param_path, f"has the layer {foreign.name} ({foreign.kind}); {READ_HERE}")
    _refuse_resized(param_path, layers)
    _refuse_other_convolutions(param_path, layers)
    read_weights(bin_path, layers)
    if any(layer.kind == "PReLU" for layer in layers):
        return _compact(param_path, layers)
    return _rrdb(param_path, layers)


def _refuse_resized(path: str, layers: list[Layer]) -> None:
    last = layers[-1]
    if last.kind == "Interp" and last.options.get("0") == BICUBIC:
        raise refused(path, "a x4 network with a picture resize behind it. Import the x4 file of the same set, whose "
                            "weights are the same, and choose the size with --scale when you render")  # fmt: skip


def _refuse_other_convolutions(path: str, layers: list[Layer]) -> None:
    for layer in layers:
        options = layer.options
        same_size = layer.number("1", 0) % 2 == 1 and layer.number("4", 0) == layer.number("1", 0) // 2
        plain = same_size and options.get("5") == "1" and options.keys() <= CONVOLUTION_OPTIONS
        if layer.kind == "Convolution" and not plain:
            raise refused(path, f"{layer.name} is a convolution of another network; {READ_HERE}")


def _compact(path: str, layers: list[Layer]) -> dict[str, torch.Tensor]:
    body = [layer for layer in layers if layer.tensors]
    tail = [layer.kind for layer in layers if layer.kind not in ("Input", "Split", "Convolution", "PReLU")]
    kinds = [layer.kind for layer in body]
    expected = ["Convolution", "PReLU"] * (len(body) // 2) + ["Convolution"]
    if kinds != expected or tail != ["PixelShuffle", "Interp", "BinaryOp"]:
        raise refused(path, f"has PReLU layers, but not in the order of the compact network; {READ_HERE}")
    _check_chain(path, body)
    return {f"body.{i}.{kind}": tensor for i, layer in enumerate(body) for kind, tensor in layer.tensors.items()}


def _check_chain(path: str, layers: list[Layer]) -> None:
    for before, after in zip(layers, layers[1:]):
        if before.outputs != after.inputs:
            raise refused(path, f"{after.name} does not follow {before.name} as in the compact network; {READ_HERE}")


RRDB_CONVOLUTIONS = 15  # three dense blocks of five
RRDB_TAIL = ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def _rrdb(path: str, layers: list[Layer]) -> dict[str, torch.Tensor]:
    convolutions = [layer for layer in layers if layer.kind == "Convolution"]
    blocks, rest = divmod(len(convolutions) - 1 - len(RRDB_TAIL), RRDB_CONVOLUTIONS)
    kinds = [layer.kind for layer in layers if layer.kind not in ("Input", "Split")]
    if blocks < 1 or rest or kinds != _rrdb_kinds(blocks):
        raise refused(path, f"its layers are those of another network; {READ_HERE}")
    resizes = [layer.options for layer in layers if layer.kind == "Interp"]
    if any(o.get("0") != NEAREST or float(o.get("1", 0)) != 2 for o in resizes):
        raise refused(path, f"RRDBNet with a resize other than twice to the nearest pixel; {READ_HERE}")
    names = ["conv_first"]
    names += [f"body.{b}.rdb{r}.conv{c}" for b in range(blocks) for r in (1, 2, 3) for c in (1, 2, 3, 4, 5)]
    names += RRDB_TAIL
    return {f"{name}.{k}": tensor for name, layer in zip(names, convolutions) for k, tensor in layer.tensors.items()}


def _rrdb_kinds(blocks: int) -> list[str]:
    dense = ["Convolution"] + ["Concat", "Convolution"] * 4 + ["Eltwise"]
    body = (dense * 3 + ["Eltwise"]) * blocks
    tail = ["Convolution", "BinaryOp", "Interp", "Convolution", "Interp", *["Convolution"] * 3]
    return ["Convolution", *body, *tail]
