"""Reads a file of weights once: its SHA-256, and whether its weights are numbers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

import torch

from ..failure import refused
from .stored_tensors import StoredTensor

PIECE_BYTES = 8 << 20  # stays in a processor's cache between the sum and the look
# Of a byte of float8 without its sign: the largest that is a number.
FLOAT8_MAX = {"float8_e4m3fn": 0x7E, "float8_e5m2": 0x7B}


def checked_digest(path: str, tensors: Iterable[StoredTensor], source: str, piece_bytes: int = PIECE_BYTES) -> str:
    """SHA-256 of the file; a weight of `tensors` that is NaN or infinite is refused by its name. `source` is for messages."""
    digest = hashlib.sha256()
    memory = memoryview(bytearray(piece_bytes))
    with open(path, "rb") as file:
        position = 0

        def read(end: int) -> memoryview:
            nonlocal position
            piece = memory[: min(piece_bytes, end - position)]
            if file.readinto(piece) != len(piece):
                raise refused(source, "grew shorter while it was read")
            digest.update(piece)
            position += len(piece)
            return piece

        for tensor in sorted(tensors, key=lambda one: one.begin):
            while position < tensor.begin:  # the header, and tensors that nobody uses
                read(tensor.begin)
            while position < tensor.end:
                if not _are_numbers(read(tensor.end), tensor.dtype):
                    raise refused(source, f"{tensor.name} has weights that are NaN or infinite; fetch it again")
        size = os.fstat(file.fileno()).st_size
        while position < size:
            read(size)
    return digest.hexdigest()


def _are_numbers(piece: memoryview, dtype: str) -> bool:
    if dtype in FLOAT8_MAX:
        return (torch.frombuffer(piece, dtype=torch.uint8) & 0x7F).max().item() <= FLOAT8_MAX[dtype]
    least, most = torch.frombuffer(piece, dtype=getattr(torch, dtype)).aminmax()  # of both, NaN is what is handed on
    return bool(torch.isfinite(torch.stack((least, most))).all())
