"""Reads networks that were converted to ncnn: a list of layers (.param) and their weights (.bin).

Two families are known, those that Real-ESRGAN publishes. The layer list is compared with what such a network looks
like, so that another one is refused rather than read in the wrong order."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy
import torch

from .failure import missing, refused

MAGIC = "7767517"
PARAM_BYTES_MAX = 16 << 20
LAYERS_MAX = 100_000
FLOAT32_TAG = 0
FLOAT16_TAG = 0x01306B47
NEAREST, BICUBIC = "1", "3"
READ_HERE = "of ncnn pairs Kiln reads those of Real-ESRGAN's compact network and RRDBNet"
# All layers of those two. Any other kind may have weights in an order that is not known here.
KINDS = {"Input", "Split", "Convolution", "PReLU", "PixelShuffle", "Interp", "BinaryOp", "Concat", "Eltwise"}


@dataclass
class Layer:
    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    options: dict[str, str]


def partner_files(path: str) -> tuple[str, str]:
    stem = os.path.splitext(path)[0]
    pair = stem + ".param", stem + ".bin"
    for file in pair:
        if not os.path.exists(file):
            raise missing(file, f"an ncnn network is a pair of files, and this one is missing beside {path}")
    return pair


def read(param_path: str, bin_path: str) -> dict[str, torch.Tensor]:
    layers = _read_layers(param_path)
    foreign = next((layer for layer in layers if layer.kind not in KINDS), None)
    if foreign is not None:
        raise refused(param_path, f"has the layer {foreign.name} ({foreign.kind}); {READ_HERE}")
    _refuse_resized(param_path, layers)
    weights = _read_weights(bin_path, layers)
    if any(layer.kind == "PReLU" for layer in layers):
        return _compact(param_path, layers, weights)
    return _rrdb(param_path, layers, weights)


def _read_layers(path: str) -> list[Layer]:
    with open(path, "rb") as file:
        data = file.read(PARAM_BYTES_MAX + 1)
    try:
        lines = data.decode("ascii").split("\n")
        if len(data) > PARAM_BYTES_MAX or lines[0].strip() != MAGIC:
            raise ValueError
        count = int(lines[1].split()[0])
        layers = [_read_layer(line) for line in lines[2:] if line.strip()]
        if count != len(layers) or count > LAYERS_MAX:
            raise ValueError
        return layers
    except (ValueError, IndexError, UnicodeDecodeError):
        raise refused(path, "no list of ncnn layers, or cut short; fetch the pair again") from None


def _read_layer(line: str) -> Layer:
    words = line.split()
    inputs, outputs = int(words[2]), int(words[3])
    if inputs < 0 or outputs < 0 or len(words) < 4 + inputs + outputs:
        raise ValueError
    options = dict(word.split("=", 1) for word in words[4 + inputs + outputs :])
    return Layer(words[0], words[1], words[4 : 4 + inputs], words[4 + inputs : 4 + inputs + outputs], options)


def _refuse_resized(path: str, layers: list[Layer]) -> None:
    last = layers[-1]
    if last.kind == "Interp" and last.options.get("0") == BICUBIC:
        raise refused(path, "a x4 network with a picture resize behind it. Import the x4 file of the same set, whose "
                            "weights are the same, and choose the size with --scale when you render")  # fmt: skip


def _read_weights(path: str, layers: list[Layer]) -> list[dict[str, torch.Tensor]]:
    with open(path, "rb") as file:
        data = file.read()
    at = 0

    def take(count: int, dtype: type) -> torch.Tensor:
        nonlocal at
        size = count * numpy.dtype(dtype).itemsize
        if count < 0 or at + size > len(data):
            raise refused(path, "cut short: the layer list wants more weights than there are; fetch the pair again")
        values = torch.from_numpy(numpy.frombuffer(data, dtype, count, at).copy())
        at += -(-size // 4) * 4
        return values

    result = []
    for layer in layers:
        found = {}
        if layer.kind == "Convolution":
            tag = int(take(1, numpy.uint32))
            if tag not in (FLOAT16_TAG, FLOAT32_TAG):
                raise refused(path, f"{layer.name} has quantised weights; only float16 and float32 are read")
            kernel = take(int(layer.options.get("6", 0)), numpy.float16 if tag == FLOAT16_TAG else numpy.float32)
            found["weight"] = _kernel(path, layer, kernel)
            found["bias"] = take(int(layer.options["0"]), numpy.float32)
        elif layer.kind == "PReLU":
            found["weight"] = take(int(layer.options["0"]), numpy.float32)
        result.append(found)
    if at != len(data):
        raise refused(path, "longer than the layer list says: the two files are not of one network")
    return result


def _kernel(path: str, layer: Layer, values: torch.Tensor) -> torch.Tensor:
    outputs, side = int(layer.options.get("0", 0)), int(layer.options.get("1", 0))
    plain = layer.options.get("4") == str(side // 2) and layer.options.get("5") == "1"
    area = outputs * side * side
    if not plain or area <= 0 or values.numel() % area:
        raise refused(path, f"{layer.name} is a convolution of another network; {READ_HERE}")
    return values.reshape(outputs, -1, side, side)


def _compact(path: str, layers: list[Layer], weights: list[dict]) -> dict[str, torch.Tensor]:
    body = [(layer, w) for layer, w in zip(layers, weights) if w]
    tail = [layer.kind for layer in layers if layer.kind not in ("Input", "Split", "Convolution", "PReLU")]
    kinds = [layer.kind for layer, _ in body]
    expected = ["Convolution", "PReLU"] * (len(body) // 2) + ["Convolution"]
    if kinds != expected or tail != ["PixelShuffle", "Interp", "BinaryOp"]:
        raise refused(path, f"has PReLU layers, but not in the order of the compact network; {READ_HERE}")
    _check_chain(path, [layer for layer, _ in body])
    return {f"body.{i}.{kind}": tensor for i, (_, w) in enumerate(body) for kind, tensor in w.items()}


def _check_chain(path: str, layers: list[Layer]) -> None:
    for before, after in zip(layers, layers[1:]):
        if before.outputs != after.inputs:
            raise refused(path, f"{after.name} does not follow {before.name} as in the compact network; {READ_HERE}")


RRDB_CONVOLUTIONS = 15  # three dense blocks of five
RRDB_TAIL = ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def _rrdb(path: str, layers: list[Layer], weights: list[dict]) -> dict[str, torch.Tensor]:
    convolutions = [(layer, w) for layer, w in zip(layers, weights) if layer.kind == "Convolution"]
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
    return {f"{name}.{kind}": tensor for name, (_, w) in zip(names, convolutions) for kind, tensor in w.items()}


def _rrdb_kinds(blocks: int) -> list[str]:
    dense = ["Convolution"] + ["Concat", "Convolution"] * 4 + ["Eltwise"]
    body = (dense * 3 + ["Eltwise"]) * blocks
    tail = ["Convolution", "BinaryOp", "Interp", "Convolution", "Interp", *["Convolution"] * 3]
    return ["Convolution", *body, *tail]
