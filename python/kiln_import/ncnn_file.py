"""Reads the two files of an ncnn network: a list of layers (.param) and their weights (.bin). What network it is, and
whether its layers are the ones of that network, is for others to say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy
import torch

from .failure import missing, refused

MAGIC = "7767517"
PARAM_BYTES_MAX = 16 << 20
LAYERS_MAX = 100_000
FLOAT32_TAG = 0
FLOAT16_TAG = 0x01306B47
# Ends each refusal of a network that is none of these.
READ_HERE = "of ncnn pairs Kiln reads those of Real-ESRGAN's compact network and RRDBNet, and RealCUGAN's"
# Where a layer's options say how many values its kernel has. Its outputs are always option 0.
KERNEL_SIZE_OPTION = {"Convolution": "6", "Deconvolution": "6", "InnerProduct": "2"}


@dataclass
class Layer:
    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    options: dict[str, str]
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    def number(self, option: str, default: int) -> int:
        """Value of an option that says how many: -1, which none is, where it is no number at all."""
        text = self.options.get(option, str(default))
        return int(text) if text.isdigit() else -1


def partner_files(path: str) -> tuple[str, str]:
    stem = os.path.splitext(path)[0]
    pair = stem + ".param", stem + ".bin"
    for file in pair:
        if not os.path.exists(file):
            raise missing(file, f"an ncnn network is a pair of files, and this one is missing beside {path}")
    return pair


def read_layers(path: str) -> list[Layer]:
    with open(path, "rb") as file:
        data = file.read(PARAM_BYTES_MAX + 1)
    try:
        lines = data.decode("ascii").split("\n")
        if len(data) > PARAM_BYTES_MAX or lines[0].strip() != MAGIC:
            raise ValueError
        count = int(lines[1].split()[0])
        layers = [_read_layer(line) for line in lines[2:] if line.strip()]
        if count != len(layers) or not 0 < count <= LAYERS_MAX:
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


class _Values:
    """The numbers of the .bin file, one after the other."""

    def __init__(self, path: str):
        self.path = path
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 0

    def take(self, count: int, dtype: type) -> torch.Tensor:
        size = count * numpy.dtype(dtype).itemsize
        if count < 0 or self.at + size > len(self.data):
            raise refused(self.path, "cut short: fewer weights than the layer list wants; fetch the pair again")
        values = torch.from_numpy(numpy.frombuffer(self.data, dtype, count, self.at).copy())
        self.at += -(-size // 4) * 4
        return values

    def take_kernel(self, layer: Layer, count: int) -> torch.Tensor:
        tag = int(self.take(1, numpy.uint32))
        if tag not in (FLOAT16_TAG, FLOAT32_TAG):
            raise refused(self.path, f"{layer.name} has quantised weights; only float16 and float32 are read")
        return self.take(count, numpy.float16 if tag == FLOAT16_TAG else numpy.float32)


def read_weights(path: str, layers: list[Layer]) -> None:
    """Gives each layer its tensors, in the order in which they stand in the file."""
    values = _Values(path)
    for layer in layers:
        outputs = layer.number("0", 0)
        if layer.kind in KERNEL_SIZE_OPTION:
            kernel = values.take_kernel(layer, layer.number(KERNEL_SIZE_OPTION[layer.kind], 0))
            layer.tensors["weight"] = _shaped(path, layer, kernel, outputs)
            layer.tensors["bias"] = values.take(outputs, numpy.float32)
        elif layer.kind == "PReLU":
            layer.tensors["weight"] = values.take(outputs, numpy.float32)
    if values.at != len(values.data):
        raise refused(path, "longer than the layer list says: the two files are not of one network")


def _shaped(path: str, layer: Layer, values: torch.Tensor, outputs: int) -> torch.Tensor:
    """As torch has it: ncnn always writes outputs before inputs, torch's transposed convolution has inputs first."""
    side = 1 if layer.kind == "InnerProduct" else layer.number("1", 0)
    area = outputs * side * side
    if area <= 0 or values.numel() == 0 or values.numel() % area:
        raise refused(path, f"{layer.name} has {values.numel()} weights, which is not so many for each output")
    tensor = values.reshape(outputs, -1, side, side)
    return tensor.transpose(0, 1).contiguous() if layer.kind == "Deconvolution" else tensor
