"""Loads a user's own network: `pkg.mod:factory`, a function without arguments that returns the module."""

from __future__ import annotations

import importlib
import os
import sys

import torch

from .failure import first_line, missing, refused
from .network import Network, SizeRules
from .tiling_probe import test_picture

# What a module may declare, and what holds where it does not.
DECLARATIONS = {
    "scale": 1, "channels": 3, "frames_before": 0, "frames_after": 0,
    "size_multiple": 1, "size_minimum": 1, "size_square": False, "may_tile": True, "name": "",
}  # fmt: skip
BOUNDS = {
    "scale": (1, 16), "channels": (3, 3), "frames_before": (0, 64), "frames_after": (0, 64),
    "size_multiple": (1, 1024), "size_minimum": (1, 4096),
}  # fmt: skip


def load_module(target: str) -> Network:
    factory = _find_factory(target)
    try:
        made = factory()
    except Exception as error:
        raise refused(target, f"the factory failed ({type(error).__name__}: {first_line(error)})") from None
    declared = dict(made) if isinstance(made, dict) else {}
    module = declared.pop("module", None) if isinstance(made, dict) else made
    if not isinstance(module, torch.nn.Module):
        raise refused(target, f"returned a {type(made).__name__}; it must return a torch.nn.Module, or a dict with one under \"module\"")
    settings = _settings(target, module, declared)
    network = Network(
        module=module.float().cpu().eval().requires_grad_(False), kind="module",
        name=settings["name"] or target, architecture=type(module).__name__, scale=settings["scale"],
        channels=settings["channels"], frames_before=settings["frames_before"], frames_after=settings["frames_after"],
        size=SizeRules(settings["size_multiple"], settings["size_minimum"], settings["size_square"]),
        may_tile=settings["may_tile"],
    )  # fmt: skip
    _check_weights(target, module)
    _check_shape(target, network)
    return network


def _find_factory(target: str):
    path, _, name = target.partition(":")
    if not path or not name:
        raise refused(target, "write it as package.module:factory")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(path)
    except ModuleNotFoundError as error:
        raise missing(target, f"there is no module {error.name}; run from the folder that holds it, or set PYTHONPATH") from None
    except Exception as error:
        raise refused(target, f"importing {path} failed ({type(error).__name__}: {first_line(error)})") from None
    factory = getattr(found, name, None)
    if not callable(factory):
        raise missing(target, f"{path} has no function {name}")
    return factory


def _settings(target: str, module: torch.nn.Module, declared: dict) -> dict:
    unknown = sorted(set(declared) - set(DECLARATIONS))
    if unknown:
        raise refused(target, f"declares {unknown[0]}, which means nothing here; known are {', '.join(DECLARATIONS)}")
    settings = {}
    for name, default in DECLARATIONS.items():
        value = declared.get(name, getattr(module, name, default))
        if name == "name" and not isinstance(value, str):
            value = default  # a module's own attribute of that name
        if type(value) is not type(default):
            raise refused(target, f"{name} must be a {type(default).__name__}, not {value!r}")
        low, high = BOUNDS.get(name, (None, None))
        if low is not None and not low <= value <= high:
            raise refused(target, f"{name} is {value}; it must lie in {low}..{high}")
        settings[name] = value
    return settings


def _check_weights(target: str, module: torch.nn.Module) -> None:
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise refused(target, f"{name} holds values that are not numbers (NaN or infinite)")


def _check_shape(target: str, network: Network) -> None:
    height, width = network.size.padded(40, 48)
    x = test_picture(network, height, width)
    try:
        output = network.run(x)
    except Exception as error:
        raise refused(target, f"failed on an input of shape {list(x.shape)} ({type(error).__name__}: {first_line(error)})") from None
    expected = [1, network.channels, height * network.scale, width * network.scale]
    if not isinstance(output, torch.Tensor) or list(output.shape) != expected:
        found = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise refused(target, f"returned {found} for an input of shape {list(x.shape)}; with scale {network.scale} it must be {expected}")
