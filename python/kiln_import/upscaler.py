"""Recognises a checkpoint's network with spandrel, and says why where it cannot be used."""

from __future__ import annotations

import os

import torch

from .checkpoint import Checkpoint, read_checkpoint
from .failure import first_line, refused
from .network import Network, SizeRules, pad_by_reflection
from .tiling_probe import test_picture

# Networks that cannot become a graph, and why.
NOT_EXPORTABLE = {
    "SPAN": "it rewrites its own weights while it runs, so that it has no graph with the weights as inputs",
}
OTHER_PURPOSE = {
    "FaceSR": "a face restoration network, not an upscaler of whole frames",
    "Inpainting": "an inpainting network: it needs a mask beside the frame",
}
# Sizes that are tried as the multiple to which a network pads its input by itself.
INNER_MULTIPLES = (2, 4, 7, 8, 12, 14, 16, 24, 32)
INNER_MULTIPLE_DIFFERENCE_MAX = 1e-5
INNER_MULTIPLE_SIZE = (41, 33)
# Known not to export with open sides; trying takes minutes for large ones.
STATIC_ONLY = ("OmniSR",)


def load_upscaler(path: str) -> Network:
    checkpoint = read_checkpoint(path)
    descriptor = _recognise(checkpoint)
    _check_purpose(path, descriptor)
    requirements = descriptor.size_requirements
    name = os.path.splitext(os.path.basename(path))[0]
    network = Network(
        module=descriptor.model.float().eval().requires_grad_(False), kind="upscaler", name=name,
        architecture=descriptor.architecture.id, scale=descriptor.scale, source_sha256=checkpoint.sha256,
        size=SizeRules(requirements.multiple_of, max(requirements.minimum, 1), requirements.square),
        may_tile=descriptor.tiling.name != "INTERNAL",
        try_dynamic=descriptor.architecture.id not in STATIC_ONLY,
        half_precision_weights=checkpoint.half_precision,
    )  # fmt: skip
    _lift_inner_multiple(network)
    return network


def _recognise(checkpoint: Checkpoint):
    from spandrel import MAIN_REGISTRY, UnsupportedModelError

    tensors = {k: v.float() if v.is_floating_point() else v for k, v in checkpoint.tensors.items()}
    try:
        return MAIN_REGISTRY.load(tensors)
    except UnsupportedModelError:
        raise refused(checkpoint.path, "no known architecture: its tensors' names fit no network that Kiln can import. "
                                       "A network of your own is imported with `kiln import module`") from None  # fmt: skip
    except Exception as error:  # spandrel derives sizes from tensors that may be missing or odd
        raise refused(checkpoint.path, f"looks like a known network, but parts are missing or do not fit "
                                       f"({type(error).__name__}: {first_line(error)})") from None  # fmt: skip


def _check_purpose(path: str, descriptor) -> None:
    architecture = descriptor.architecture.id
    if descriptor.purpose in OTHER_PURPOSE:
        raise refused(path, f"{architecture} is {OTHER_PURPOSE[descriptor.purpose]}; Kiln imports upscalers and restorers")
    if architecture in NOT_EXPORTABLE:
        raise refused(path, f"{architecture} cannot be imported: {NOT_EXPORTABLE[architecture]}")
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        raise refused(path, f"takes {descriptor.input_channels} channels and returns {descriptor.output_channels}; frames have 3")


def _lift_inner_multiple(network: Network) -> None:
    """Networks with windows pad their input by themselves. Where that is the same as Kiln's own padding it is left to
    Kiln: the graph gets simpler, and tiles line up with the windows."""
    if network.size.multiple != 1:
        return
    height, width = (max(side, network.size.minimum) for side in INNER_MULTIPLE_SIZE)
    picture = test_picture(network, height, width)
    expected = network.run(picture)
    spread = max(1.0, (expected.max() - expected.min()).item())
    for multiple in INNER_MULTIPLES:
        rules = SizeRules(multiple, network.size.minimum, network.size.square)
        padded = pad_by_reflection(picture, *rules.padded(height, width))
        output = network.run(padded.to(memory_format=torch.channels_last))
        output = output[..., : height * network.scale, : width * network.scale]
        if (output - expected).abs().max().item() <= INNER_MULTIPLE_DIFFERENCE_MAX * spread:
            minimum = -(-network.size.minimum // multiple) * multiple
            network.size = SizeRules(multiple, minimum, network.size.square)
            return
