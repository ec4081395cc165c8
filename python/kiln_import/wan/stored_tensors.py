"""Where the tensors of safetensors files are. Only headers are read: the weights stay where they lie."""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import dataclass

from ..failure import first_line, missing, refused

HEADER_BYTES_MAX = 64 << 20
TENSORS_MAX = 262_144
RANK_MAX = 8
# Element types as safetensors writes them, the manifest's names, and bytes.
DTYPES = {
    "F64": ("float64", 8), "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2),
    "I64": ("int64", 8), "I32": ("int32", 4), "I16": ("int16", 2), "I8": ("int8", 1), "U8": ("uint8", 1),
    "BOOL": ("bool", 1), "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1),
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    file: str  # path of the safetensors file
    name: str
    shape: tuple[int, ...]
    dtype: str
    begin: int  # of its bytes in the file
    end: int


def read_tensors(path: str) -> dict[str, StoredTensor]:
    """Every tensor of one file; a file that lies about its sizes is refused."""
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(HEADER_BYTES_MAX, size - 8):
                raise refused(path, f"no safetensors file, or cut short: a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise missing(path, "no such file") from None
    except IsADirectoryError:
        raise refused(path, "a folder, not a safetensors file") from None
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise refused(path, f"its header is damaged ({first_line(error)}); fetch it again") from None
    if not isinstance(header, dict) or len(header) > TENSORS_MAX:
        raise refused(path, "its header is no list of tensors; fetch it again")
    header.pop("__metadata__", None)
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_cover(path, list(tensors.values()), 8 + length, size)
    return tensors


def _tensor(path: str, name: str, entry: object, data: int) -> StoredTensor:
    try:
        dtype, shape, (begin, end) = DTYPES.get(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
        numbers = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        raise refused(path, f"what its header says of {name} is damaged; fetch it again") from None
    if dtype is None:
        raise refused(path, f"{name} has the unknown element type {entry['dtype']}")
    if not numbers or len(shape) > RANK_MAX or begin > end or math.prod(shape) * dtype[1] != end - begin:
        raise refused(path, f"the shape of {name} does not match its bytes; fetch it again")
    return StoredTensor(path, name, shape, dtype[0], data + begin, data + end)


def _check_cover(path: str, tensors: list[StoredTensor], data: int, size: int) -> None:
    position = data
    for tensor in sorted(tensors, key=lambda t: (t.begin, t.end)):
        if tensor.begin != position:
            raise refused(path, f"{tensor.name} lies where another tensor lies, or behind a hole; fetch it again")
        position = tensor.end
    if position > size:
        raise refused(path, f"cut short: {size} bytes, and its header tells of {position}; fetch it again")
    if position < size:
        raise refused(path, f"{size - position} bytes lie behind its last tensor; fetch it again")
