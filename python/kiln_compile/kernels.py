"""Kernels of our own: CUDA source to a cubin, with the NVRTC that torch brings. No card and no driver are needed."""

from __future__ import annotations

import ctypes
import os
import time

import torch


class KernelError(Exception):
    pass


class Nvrtc:
    """Opened when something is to be compiled; most children never do."""

    def __init__(self):
        major = (torch.version.cuda or "").split(".")[0]
        site = os.path.dirname(os.path.dirname(torch.__file__))
        path = os.path.join(site, "nvidia", f"cu{major}", "lib", f"libnvrtc.so.{major}")
        if not major or not os.path.exists(path):
            raise KernelError(f"this torch comes without NVRTC: there is no {path}")
        self._library = ctypes.CDLL(path)
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def compile(self, source: bytes, arch: str, options: list[str]) -> bytes:
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), source, b"kernels.cu", 0, None, None)
        try:
            flags = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in options)]
            array = (ctypes.c_char_p * len(flags))(*flags)
            if self._library.nvrtcCompileProgram(program, len(flags), array) != 0:
                said = self._bytes("nvrtcGetProgramLog", program).rstrip(b"\0").decode("utf-8", "replace")
                raise KernelError(f"kernels do not compile for {arch}: {said}")
            return self._bytes("nvrtcGetCUBIN", program)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _bytes(self, name: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"{name}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(name, program, buffer)
        return buffer.raw

    def _call(self, name: str, *arguments) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise KernelError(f"{name}: {self._library.nvrtcGetErrorString(code).decode()}")


def compile_kernels(request: dict, work_folder: str) -> dict:
    started = time.monotonic()
    wanted = request["kernels"]
    with open(wanted["source_path"], "rb") as file:
        source = file.read()
    image = Nvrtc().compile(source, wanted["arch"], wanted["options"])
    folder = os.path.join(work_folder, "request")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "kernels.cubin")
    with open(path, "wb") as file:
        file.write(image)
    return {"library": path, "compile_s": time.monotonic() - started, "outputs": [], "run_ms": 0.0, "run_peak_bytes": 0}
