"""Reads a checkpoint's tensors. Nothing in the file is ever run."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import stat
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch

from . import ncnn_file, ncnn_pair
from .failure import ImportFailure, INPUT_REFUSED, first_line, missing, refused

CHECKPOINT_BYTES_MAX = 16 << 30
PICKLED = (".pth", ".pt", ".ckpt")
SAFETENSORS = (".safetensors",)
NCNN = (".param", ".bin")


@dataclass
class Checkpoint:
    path: str
    tensors: dict
    sha256: str
    half_precision: bool


def read_checkpoint(path: str) -> Checkpoint:
    _check_file(path)
    extension = os.path.splitext(path)[1].lower()
    if extension in PICKLED:
        tensors, sha256 = _read_pickled(path), file_sha256(path)
    elif extension in SAFETENSORS:
        tensors, sha256 = _read_safetensors(path), file_sha256(path)
    elif extension in NCNN:
        param, binary = ncnn_file.partner_files(path)
        _check_file(param), _check_file(binary)
        tensors, sha256 = ncnn_pair.read(param, binary), file_sha256(binary)
    else:
        known = ", ".join(PICKLED + SAFETENSORS + NCNN)
        raise refused(path, f"no checkpoint by its name; Kiln reads {known}")
    tensors = _only_tensors(path, tensors)
    _check_finite(path, tensors)
    half = any(t.dtype == torch.float16 for t in tensors.values())
    return Checkpoint(path, tensors, sha256, half)


def file_sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(path: str) -> None:
    try:
        info = os.stat(path)
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise missing(path, "no such file") from None
    except IsADirectoryError:
        raise refused(path, "a folder, not a checkpoint; name a file in it") from None
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(info.st_mode):
        raise refused(path, "not a file")
    if info.st_size == 0:
        raise refused(path, "empty; fetch it again")
    if info.st_size > CHECKPOINT_BYTES_MAX:
        raise refused(path, f"larger than {CHECKPOINT_BYTES_MAX >> 30} GiB, the most that is read")


def _read_pickled(path: str) -> dict:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error))
        if named:
            raise refused(path, f"untrusted: it wants to call {named.group(1)} while being read, and no checkpoint needs "
                                "that. Nothing of it was run. Get the weights as .safetensors, or from their author") from None  # fmt: skip
        raise refused(path, f"no checkpoint that can be read safely ({first_line(error)}); it may be damaged, fetch it again") from None
    except Exception as error:
        if "TorchScript" in str(error):
            raise refused(path, "a TorchScript archive: it holds code. Import its state dict instead") from None
        raise refused(path, f"damaged or cut short ({first_line(error)}); fetch it again") from None


def _read_safetensors(path: str) -> dict:
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except safetensors.SafetensorError as error:
        raise refused(path, f"damaged or cut short ({first_line(error)}); fetch it again") from None


def _only_tensors(path: str, document: object) -> dict:
    """The dictionary of tensors inside the ones that training programs wrap around it."""
    from spandrel.__helpers.canonicalize import canonicalize_state_dict

    if not isinstance(document, dict):
        raise refused(path, f"holds a {type(document).__name__}, not named tensors")
    tensors = {k: v for k, v in canonicalize_state_dict(document).items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise refused(path, "holds no named tensors")
    if any(t.layout != torch.strided for t in tensors.values()):
        raise refused(path, "holds sparse tensors, which no network here uses")
    return tensors


def _check_finite(path: str, tensors: dict) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise ImportFailure(
                INPUT_REFUSED,
                f"{path}: {bad} of {tensor.numel()} values of {name} are not numbers (NaN or infinite); "
                "the training went wrong there, use another checkpoint",
            )
