"""Writes networks as ncnn's converters do: a list of layers, and their weights one after the other without names."""

from __future__ import annotations

import struct

import numpy
import torch

MAGIC = "7767517"
FLOAT32, FLOAT16, QUANTISED = 0, 0x01306B47, 0x000D4B38
LEAKY = "9=2 -23310=1,1.000000e-01"


class PairWriter:
    """Each method adds a layer and returns the name of what it makes."""

    def __init__(self, tag: int = FLOAT32):
        self.tag = tag
        self.lines: list[str] = []
        self.data = b""
        self.blobs = 0
        self.last = self.layer("Input", [])

    def layer(self, kind: str, inputs: list[str], options: str = "") -> str:
        return self._layer(kind, inputs, 1, options)[0]

    def split(self, x: str) -> list[str]:
        return self._layer("Split", [x], 2, "")

    def _layer(self, kind: str, inputs: list[str], outputs: int, options: str) -> list[str]:
        made = [f"b{self.blobs + i}" for i in range(outputs)]
        self.blobs += outputs
        words = [kind, f"{kind}_{len(self.lines)}", str(len(inputs)), str(outputs), *inputs, *made, options]
        self.lines.append(" ".join(words))
        self.last = made[0]
        return made

    def kernel(self, kind: str, x: str, weight: torch.Tensor, bias: torch.Tensor, options: str) -> str:
        dtype = numpy.float16 if self.tag == FLOAT16 else numpy.float32
        values = weight.contiguous().numpy().astype(dtype).tobytes()
        self.data += struct.pack("<I", self.tag) + values + b"\0" * (-len(values) % 4)
        self.data += bias.numpy().astype("<f4").tobytes()
        return self.layer(kind, [x], options)

    def same_size_convolution(self, weight: torch.Tensor, bias: torch.Tensor) -> str:
        options = f"0={weight.shape[0]} 1=3 4=1 5=1 6={weight.numel()}"
        return self.kernel("Convolution", self.last, weight, bias, options)

    def slopes(self, weight: torch.Tensor) -> str:
        self.data += weight.numpy().astype("<f4").tobytes()
        return self.layer("PReLU", [self.last], f"0={weight.numel()}")

    def save(self, stem: str, tail: tuple[str, ...] = ()) -> str:
        lines = [*self.lines, *tail]
        with open(stem + ".param", "w") as file:
            file.write("\n".join([MAGIC, f"{len(lines)} {self.blobs}", *lines]) + "\n")
        with open(stem + ".bin", "wb") as file:
            file.write(self.data)
        return stem + ".param"


class RealCuganWriter(PairWriter):
    """The layers of RealCUGAN as its published pairs have them, with the weights and widths of a state dict."""

    def __init__(self, tensors: dict[str, torch.Tensor], tag: int = FLOAT32):
        super().__init__(tag)
        self.tensors = tensors
        first, kept = self.split(self._first(self.last))
        both = self._second(kept, first)
        if "conv_final.weight" in tensors:
            final = self._convolution(both, "conv_final", "")
            self.layer("PixelShuffle", [self._crop(final, 1)], "0=2")

    def _first(self, x: str) -> str:
        whole, down = self.split(self._pair(x, "unet1.conv1"))
        half = self._convolution(down, "unet1.conv1_down")
        half = self._weighed(self._pair(half, "unet1.conv2"), "unet1.conv2")
        whole = self._crop(whole, 4)
        whole = self.layer("BinaryOp", [whole, self._wider(half, "unet1.conv2_up", f"3=2 {LEAKY}")])
        whole = self._convolution(whole, "unet1.conv3")
        step = "3=3 4=2" if self.tensors["unet1.conv_bottom.weight"].shape[2] == 5 else "3=2 4=3"
        return self._wider(whole, "unet1.conv_bottom", step)

    def _second(self, x: str, first: str) -> str:
        whole, down = self.split(self._pair(x, "unet2.conv1"))
        half = self._convolution(down, "unet2.conv1_down")
        half = self._weighed(self._pair(half, "unet2.conv2"), "unet2.conv2")
        half, down = self.split(half)
        quarter = self._convolution(down, "unet2.conv2_down")
        quarter = self._weighed(self._pair(quarter, "unet2.conv3"), "unet2.conv3")
        half = self._crop(half, 4)
        half = self.layer("BinaryOp", [half, self._wider(quarter, "unet2.conv3_up", f"3=2 {LEAKY}")])
        half = self._weighed(self._pair(half, "unet2.conv4"), "unet2.conv4")
        whole = self._crop(whole, 16)
        whole = self.layer("BinaryOp", [whole, self._wider(half, "unet2.conv4_up", f"3=2 {LEAKY}")])
        first = self._crop(first, 20)
        whole = self._convolution(self._convolution(whole, "unet2.conv5"), "unet2.conv_bottom", "")
        return self.layer("BinaryOp", [whole, first])

    def _pair(self, x: str, name: str) -> str:
        return self._convolution(self._convolution(x, f"{name}.conv.0"), f"{name}.conv.2")

    def _convolution(self, x: str, name: str, activation: str = LEAKY) -> str:
        weight, side = self.tensors[f"{name}.weight"], self.tensors[f"{name}.weight"].shape[2]
        options = f"0={weight.shape[0]} 1={side} {'3=2' if side == 2 else ''} 5=1 6={weight.numel()} {activation}"
        return self.kernel("Convolution", x, weight, self.tensors[f"{name}.bias"], options)

    def _wider(self, x: str, name: str, rest: str) -> str:
        weight = self.tensors[f"{name}.weight"].transpose(0, 1)
        options = f"0={weight.shape[0]} 1={weight.shape[2]} 5=1 6={weight.numel()} {rest}"
        return self.kernel("Deconvolution", x, weight, self.tensors[f"{name}.bias"], options)

    def _weighed(self, x: str, name: str) -> str:
        x, factors = self.split(x)
        factors = self.layer("Pooling", [factors], "0=1 4=1")
        for part, activation in (("conv1", 1), ("conv2", 4)):
            weight, bias = (self.tensors[f"{name}.seblock.{part}.{kind}"] for kind in ("weight", "bias"))
            options = f"0={weight.shape[0]} 1=1 2={weight.numel()} 9={activation}"
            factors = self.kernel("InnerProduct", factors, weight, bias, options)
        return self.layer("BinaryOp", [x, factors], "0=2")

    def _crop(self, x: str, border: int) -> str:
        return self.layer("Crop", [x], f"-23309=2,{border},{border} -23310=2,-{border},-{border} -23311=2,-2,-1")
