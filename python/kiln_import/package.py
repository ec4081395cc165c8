"""Writes a package folder: all of it under a temporary name beside the target, then one rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import safetensors.torch
import torch

from .failure import IO_ERROR, OUTPUT_UNWRITABLE, ImportFailure
from .graph_set import Graph
from .network import Network
from .tiling_probe import Tiling
from .trace import Parameter

FORMAT_VERSION = 1
WEIGHTS_FILE = "weights/network.safetensors"
MANIFEST_FILE = "manifest.toml"
DTYPE_NAMES = {
    torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float64: "float64",
    torch.int64: "int64", torch.int32: "int32", torch.int16: "int16", torch.int8: "int8", torch.uint8: "uint8",
    torch.bool: "bool",
}  # fmt: skip


def check_output(path: str) -> None:
    """Before the work is done: a folder that exists is never written to."""
    parent = os.path.dirname(os.path.abspath(path))
    if os.path.lexists(path):
        raise ImportFailure(OUTPUT_UNWRITABLE, f"{path}: exists already; name another folder or remove it")
    if not os.path.isdir(parent):
        raise ImportFailure(OUTPUT_UNWRITABLE, f"{path}: there is no folder {parent}; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ImportFailure(OUTPUT_UNWRITABLE, f"{path}: the folder {parent} is not writable; name another place")


def write_package(path: str, network: Network, graphs: list[Graph], parameters: list[Parameter],
                  tiling: Tiling) -> None:  # fmt: skip
    with whole_folder(path, ("graphs", "weights")) as work:
        stored = _as_stored(network, parameters)
        digests = {}
        for graph in graphs:
            digests[graph.file] = write_file(work, graph.file, graph.data)
        weights = safetensors.torch.save({p.name: p.value for p in stored})
        digests[WEIGHTS_FILE] = write_file(work, WEIGHTS_FILE, weights)
        text = manifest_text(network, graphs, stored, tiling, digests)
        write_file(work, MANIFEST_FILE, text.encode())


@contextlib.contextmanager
def whole_folder(path: str, folders: tuple[str, ...]) -> Iterator[str]:
    """A work folder with these folders in it, which gets its name when all in it is written, or goes away."""
    check_output(path)
    target = os.path.abspath(path)
    work = ""
    try:
        work = tempfile.mkdtemp(prefix=f".{os.path.basename(target)}.partial-", dir=os.path.dirname(target))
        os.chmod(work, 0o755)
        for folder in folders:
            os.makedirs(os.path.join(work, folder))
        yield work
        for folder in (*folders, "."):
            _sync_folder(os.path.join(work, folder))
        check_output(path)
        os.rename(work, target)
        work = ""
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        code = OUTPUT_UNWRITABLE if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST) else IO_ERROR
        what = "disk full; free some space and repeat" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise ImportFailure(code, f"{path}: not written: {what}") from None
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)


def _as_stored(network: Network, parameters: list[Parameter]) -> list[Parameter]:
    """Weights that came as float16 are stored so: half the file, and no bit lost."""

    def stored(value: torch.Tensor) -> torch.Tensor:
        value = value.detach().contiguous().clone()
        if network.half_precision_weights and value.dtype == torch.float32:
            half = value.half()
            if torch.equal(half.float(), value):
                return half
        return value

    return [Parameter(p.name, stored(p.value), p.keep_dtype, p.channels_last) for p in parameters]


def write_file(work: str, name: str, data: bytes) -> str:
    with open(os.path.join(work, name), "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(data).hexdigest()


def _sync_folder(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def manifest_text(network: Network, graphs: list[Graph], parameters: list[Parameter], tiling: Tiling,
                  digests: dict[str, str]) -> str:  # fmt: skip
    tables = [
        toml_table("", {
            "format_version": FORMAT_VERSION, "kind": network.kind, "name": network.name,
            "architecture": network.architecture, "source_sha256": network.source_sha256,
            "scale": network.scale, "channels": network.channels,
            "size_multiple": network.size.multiple, "size_minimum": network.size.minimum,
            "size_square": network.size.square,
            "frames_before": network.frames_before, "frames_after": network.frames_after,
        }),
        toml_table("[tiling]", {"kind": tiling.kind, "halo": tiling.halo, "difference": float(tiling.difference)}),
        toml_table("[weights]", {"file": WEIGHTS_FILE, "sha256": digests[WEIGHTS_FILE]}),
    ]  # fmt: skip
    tables += [toml_table("[[graph]]", _graph_entry(graph, digests[graph.file])) for graph in graphs]
    tables += [
        toml_table("[[parameter]]", {
            "component": "network", "name": p.name, "shape": list(p.value.shape),
            "dtype": DTYPE_NAMES[p.value.dtype], "keep_dtype": p.keep_dtype, "channels_last": p.channels_last,
        })
        for p in parameters
    ]  # fmt: skip
    return "\n".join(tables)


def _graph_entry(graph: Graph, sha256: str) -> dict:
    entry = {"component": "network", "file": graph.file, "sha256": sha256, "dtype": graph.dtype_name}
    traced = graph.traced
    if traced.size is not None:
        return {**entry, "dynamic": False, "height": traced.size[0], "width": traced.size[1]}
    return {**entry, "dynamic": True, "height_min": traced.height[0], "height_max": traced.height[1],
            "width_min": traced.width[0], "width_max": traced.width[1]}  # fmt: skip


def toml_table(header: str, values: dict) -> str:
    lines = [header] if header else []
    lines += [f"{name} = {_toml(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
