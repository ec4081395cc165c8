"""What the child has of its one card: for its worker's ledger. Shapes no code."""

from __future__ import annotations

import ctypes
import os

import torch

LIBRARY = "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint), *((name, ctypes.c_ulonglong) for name in ("total", "reserved", "free", "used"))]


class CardMemory:
    """Counts what is not the allocator's: the context, which it makes, and the code that is loaded while something is compiled. The driver says
    only what everybody has together: where others take or give memory at the same time the count is off, and the worker, which knows, leaves it."""

    def __init__(self):
        self._device = ctypes.c_void_p()
        self._library = None
        self._context_bytes = 0
        self._before = (0, 0)
        self.fault = ""  # why nothing is counted
        try:
            self._open()
            before = self._used()
            torch.cuda.mem_get_info()  # makes the context
            self._context_bytes = max(0, self._used() - before - torch.cuda.memory_reserved())
        except Exception as error:  # what is wrong with the card, a request says better
            self._library = None
            self.fault = str(error)

    def begin(self) -> None:
        if self._library is not None:
            torch.cuda.reset_peak_memory_stats()
            self._before = (self._used(), torch.cuda.memory_reserved())

    def report(self, reserved_bytes: int) -> dict:
        """`reserved_bytes`: of its allocator, at the peak since begin(), as far as somebody else saw it."""
        if self._library is None:
            return {}
        used, reserved = self._before
        grown = self._used() - used - (torch.cuda.memory_reserved() - reserved)
        self._context_bytes += max(0, grown)
        return {"card_context_bytes": self._context_bytes,
                "card_reserved_bytes": max(reserved_bytes, torch.cuda.max_memory_reserved())}  # fmt: skip

    def _open(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._check("nvmlInit_v2")
        uuid = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self._check("nvmlDeviceGetHandleByUUID", uuid.encode(), ctypes.byref(self._device))

    def _used(self) -> int:
        memory = _Memory(version=ctypes.sizeof(_Memory) | 2 << 24)
        self._check("nvmlDeviceGetMemoryInfo_v2", self._device, ctypes.byref(memory))
        return memory.used

    def _check(self, name: str, *arguments) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise RuntimeError(f"{name} returns {code}")
