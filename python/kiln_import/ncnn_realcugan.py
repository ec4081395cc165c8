"""RealCUGAN's ncnn pairs. The network has one shape for each scale, so the whole layer list is known: each layer's kind
and options, and which layers it reads. It is compared layer by layer, and the weights get their names by position.

A pair does not say that its weights are a pro network's: published pro pairs have the same layers as the others."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from .failure import refused
from .ncnn_file import READ_HERE, Layer, read_weights

PICTURE, NOWHERE = -1, -2  # in place of a position: the layer before the first, and none at all
MULTIPLY = 2.0
RELU, LEAKY, SIGMOID = 1.0, 2.0, 4.0
SLOPE = 0.1
SQUEEZE = 8  # how many channels become one inside a block that weighs channels
# Options of which ncnn writes the number of values before them: -23300 less the option's number.
ARRAYS_FROM = -23300
NOSE = ("RealCUGAN without the blocks that weigh channels by the whole picture (nose): spandrel knows no such network. "
        "Import the pair of the same name from models-se")  # fmt: skip
Options = dict[int, tuple[float, ...]]


@dataclass
class Step:
    kind: str
    inputs: list[int]  # positions of the layers that it reads
    options: Options
    tensors: str = ""  # what its weights are called in the checkpoint


@dataclass
class _Plan:
    """The layers of one network in the order in which they are written."""

    steps: list[Step] = field(default_factory=list)

    def add(self, kind: str, inputs: list[int], options: Options, tensors: str = "") -> int:
        self.steps.append(Step(kind, inputs, options, tensors))
        return len(self.steps) - 1

    def convolution(self, x: int, name: str, widths: tuple[int, int], side: int = 3, leaky: bool = True) -> int:
        """Of side 3, or of side 2 and step 2. Without padding: each one makes the picture smaller."""
        options = {0: (widths[1],), 1: (side,), 5: (1,), 6: (widths[0] * widths[1] * side * side,)}
        if side == 2:
            options[3] = (2,)
        if leaky:
            options |= {9: (LEAKY,), 10: (SLOPE,)}
        return self.add("Convolution", [x], options, name)

    def two_convolutions(self, x: int, name: str, widths: tuple[int, int, int]) -> int:
        x = self.convolution(x, f"{name}.conv.0", widths[:2])
        return self.convolution(x, f"{name}.conv.2", widths[1:])

    def weigh_channels(self, x: int, name: str, width: int) -> int:
        """Each channel times a factor that depends on the means over the whole picture."""
        narrow, size = width // SQUEEZE, width * width // SQUEEZE
        factors = self.add("Pooling", [x], {0: (1,), 4: (1,)})
        for part, outputs, activation in (("conv1", narrow, RELU), ("conv2", width, SIGMOID)):
            options = {0: (outputs,), 1: (1,), 2: (size,), 9: (activation,)}
            factors = self.add("InnerProduct", [factors], options, f"{name}.seblock.{part}")
        return self.add("BinaryOp", [x, factors], {0: (MULTIPLY,)})

    def widen(self, x: int, name: str, widths: tuple[int, int], side: int, step: int, cut: int = 0) -> int:
        options = {0: (widths[1],), 1: (side,), 3: (step,), 5: (1,), 6: (widths[0] * widths[1] * side * side,)}
        if cut:
            options[4] = (cut,)
        else:
            options |= {9: (LEAKY,), 10: (SLOPE,)}
        return self.add("Deconvolution", [x], options, name)

    def crop(self, x: int, border: int) -> int:
        return self.add("Crop", [x], {9: (border, border), 10: (-border, -border), 11: (-2, -1)})

    def sum(self, x: int, y: int) -> int:
        return self.add("BinaryOp", [x, y], {})


def _first_half(plan: _Plan, outputs: int, side: int, step: int, cut: int) -> int:
    whole = plan.two_convolutions(PICTURE, "unet1.conv1", (3, 32, 64))
    half = plan.convolution(whole, "unet1.conv1_down", (64, 64), side=2)
    half = plan.two_convolutions(half, "unet1.conv2", (64, 128, 64))
    half = plan.weigh_channels(half, "unet1.conv2", 64)
    whole = plan.crop(whole, 4)
    whole = plan.sum(whole, plan.widen(half, "unet1.conv2_up", (64, 64), side=2, step=2))
    whole = plan.convolution(whole, "unet1.conv3", (64, 64))
    return plan.widen(whole, "unet1.conv_bottom", (64, outputs), side, step, cut)


def _second_half(plan: _Plan, picture: int, channels: int) -> int:
    """Returns the sum of what both halves made."""
    whole = plan.two_convolutions(picture, "unet2.conv1", (channels, 32, 64))
    half = plan.convolution(whole, "unet2.conv1_down", (64, 64), side=2)
    half = plan.two_convolutions(half, "unet2.conv2", (64, 64, 128))
    half = plan.weigh_channels(half, "unet2.conv2", 128)
    quarter = plan.convolution(half, "unet2.conv2_down", (128, 128), side=2)
    quarter = plan.two_convolutions(quarter, "unet2.conv3", (128, 256, 128))
    quarter = plan.weigh_channels(quarter, "unet2.conv3", 128)
    half = plan.crop(half, 4)
    half = plan.sum(half, plan.widen(quarter, "unet2.conv3_up", (128, 128), side=2, step=2))
    half = plan.two_convolutions(half, "unet2.conv4", (128, 64, 64))
    half = plan.weigh_channels(half, "unet2.conv4", 64)
    whole = plan.crop(whole, 16)
    whole = plan.sum(whole, plan.widen(half, "unet2.conv4_up", (64, 64), side=2, step=2))
    picture = plan.crop(picture, 20)
    whole = plan.convolution(whole, "unet2.conv5", (64, 64))
    whole = plan.convolution(whole, "unet2.conv_bottom", (64, channels), leaky=False)
    return plan.sum(whole, picture)


def _network(scale: int) -> list[Step]:
    plan = _Plan()
    if scale == 4:
        first = _first_half(plan, outputs=64, side=4, step=2, cut=3)
        both = _second_half(plan, first, 64)
        final = plan.convolution(both, "conv_final", (64, 12), leaky=False)
        plan.add("PixelShuffle", [plan.crop(final, 1)], {0: (2,)})
        return plan.steps
    side, step, cut = {2: (4, 2, 3), 3: (5, 3, 2)}[scale]
    _second_half(plan, _first_half(plan, 3, side, step, cut), 3)
    return plan.steps


def resembles(layers: list[Layer]) -> bool:
    """Whether it can only be this network, or none that is read: the others neither crop nor convolve backwards."""
    return {"Crop", "Deconvolution"} <= {layer.kind for layer in layers}


def read(param_path: str, bin_path: str, layers: list[Layer]) -> dict[str, torch.Tensor]:
    scale = _scale(layers)
    steps = _network(scale)
    found, reads = _without_splits(layers)
    if _is_without_weighing(steps, found):
        raise refused(param_path, NOSE)
    for number, (step, layer) in enumerate(zip(steps, found)):
        if (step.kind, step.options) != (layer.kind, _options(layer)) or step.inputs != reads[number]:
            here = f"{layer.name} ({layer.kind})"
            raise refused(param_path, f"{here} is not what RealCUGAN x{scale} has there; {READ_HERE}")
    if len(steps) != len(found):
        raise refused(param_path, f"{len(found)} layers, and RealCUGAN x{scale} has {len(steps)}; {READ_HERE}")
    read_weights(bin_path, layers)
    return {f"{step.tensors}.{k}": tensor for step, layer in zip(steps, found) for k, tensor in layer.tensors.items()}


def _is_without_weighing(steps: list[Step], found: list[Layer]) -> bool:
    kinds = ("Convolution", "Deconvolution")
    wanted = [(step.kind, step.options[6]) for step in steps if step.kind in kinds]
    has = [(layer.kind, (layer.number("6", 0),)) for layer in found if layer.kind in kinds]
    return wanted == has and not any(layer.kind in ("Pooling", "InnerProduct") for layer in found)


def _scale(layers: list[Layer]) -> int:
    """By what differs between the three, for the comparison to be with the nearest one."""
    if any(layer.kind == "PixelShuffle" for layer in layers):
        return 4
    return 3 if any(layer.kind == "Deconvolution" and layer.options.get("3") == "3" for layer in layers) else 2


def _without_splits(layers: list[Layer]) -> tuple[list[Layer], list[list[int]]]:
    """The layers that compute something, and for each the positions of those that it reads."""
    makers: dict[str, int] = {}
    found, reads = [], []
    for layer in layers:
        sources = [makers.get(name, NOWHERE) for name in layer.inputs]
        if layer.kind == "Input":
            made_by = PICTURE if not makers else NOWHERE
        elif layer.kind == "Split":
            made_by = sources[0] if len(sources) == 1 else NOWHERE
        else:
            made_by = len(found)
            found.append(layer)
            reads.append(sources)
        makers |= dict.fromkeys(layer.outputs, made_by)
    return found, reads


def _options(layer: Layer) -> Options | None:
    """By number, each as its values; None where something is no number."""
    result = {}
    try:
        for key, text in layer.options.items():
            number, values = int(key), [float(value) for value in text.split(",")]
            if number <= ARRAYS_FROM:
                number, values = ARRAYS_FROM - number, values[1:]
            result[number] = tuple(values)
    except ValueError:
        return None
    return result
