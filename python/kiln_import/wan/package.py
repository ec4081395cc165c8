"""Writes the package of a text-to-video model: graphs, tables, tokenizer, a manifest; the weights are linked or copied."""

from __future__ import annotations

import concurrent.futures
import os
import shutil

import safetensors.torch

from ..package import FORMAT_VERSION, MANIFEST_FILE, check_output, toml_table, whole_folder, write_file
from .component import Component
from .configs import model_name
from .parts import rope_tables
from .sources import TableEntry, WanModel
from .trace_graph import GraphBytes
from .weight_check import checked_digest

TABLES_FILE = "weights/tables.safetensors"
TOKENIZER_FILE = "tokenizer/spiece.model"
TABLE_DTYPE = "float32"


def write_wan_package(path: str, model: WanModel, components: list[Component], entries: list[TableEntry],
                      graphs: list[GraphBytes], copy: bool) -> None:  # fmt: skip
    check_output(path)
    files = _package_files(model, entries)
    folders = ("graphs", "tokenizer", "weights", *sorted({os.path.dirname(name) for name in files.values()}))
    tables = rope_tables(model.transformer)
    with whole_folder(path, folders) as work:
        digests = {graph.file: write_file(work, graph.file, graph.data) for graph in graphs}
        digests[TABLES_FILE] = write_file(work, TABLES_FILE, safetensors.torch.save(tables))
        digests[TOKENIZER_FILE] = write_file(work, TOKENIZER_FILE, model.tokenizer)
        digests |= _place_weights(work, files, entries, copy)
        sizes = {name: os.stat(os.path.join(work, name)).st_size for name in (*files.values(), TABLES_FILE)}
        text = manifest_text(model, components, graphs, entries, files, digests, sizes)
        write_file(work, MANIFEST_FILE, text.encode())


def _package_files(model: WanModel, entries: list[TableEntry]) -> dict[str, str]:
    """Path of each file that is used → its name in the package: a folder for each set of weights that came first."""
    names: dict[str, str] = {}
    for entry in entries:
        for tensor in (entry.tensor.stored, entry.tensor.scale):
            if tensor is not None and tensor.file not in names:
                names[tensor.file] = f"weights/{entry.weights}/{os.path.basename(tensor.file)}"
    return names


def _place_weights(work: str, files: dict[str, str], entries: list[TableEntry], copy: bool) -> dict[str, str]:
    used = {tensor for entry in entries for tensor in (entry.tensor.stored, entry.tensor.scale) if tensor is not None}

    def place(item: tuple[str, str]) -> tuple[str, str]:
        source, name = item
        target = os.path.join(work, name)
        if copy:
            shutil.copyfile(source, target)
        else:
            _link(os.path.realpath(source), target)
        digest = checked_digest(target, (tensor for tensor in used if tensor.file == source), source)
        if copy:
            with open(target, "rb") as file:
                os.fsync(file.fileno())
        return name, digest

    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return dict(pool.map(place, files.items()))


def _link(source: str, target: str) -> None:
    """The same file under another name, so that it stays when its folder goes; a symbolic link on another file system."""
    try:
        os.link(source, target)
    except OSError:
        os.symlink(source, target)


def manifest_text(model: WanModel, components: list[Component], graphs: list[GraphBytes], entries: list[TableEntry],
                  files: dict[str, str], digests: dict[str, str], sizes: dict[str, int]) -> str:  # fmt: skip
    tables = _settings(model, digests)
    for weights in model.weights:
        tables.append(toml_table("[[weights]]", {"name": weights.name, "part": weights.part}))
    tables += [toml_table("[[file]]", {"file": name, "bytes": sizes[name], "sha256": digests[name]}) for name in sizes]
    for component in components:
        tables.append(toml_table("[[component]]", {
            "name": component.name, "part": component.part, "repeat": component.repeat,
            "inputs": [i.name for i in component.inputs], "outputs": list(component.outputs)}))  # fmt: skip
    tables += [toml_table("[[graph]]", {"component": graph.component, "dtype": graph.dtype_name, "file": graph.file,
                                        "sha256": digests[graph.file]}) for graph in graphs]  # fmt: skip
    for component in components:
        tables += [toml_table("[[parameter]]", {"component": component.name, "name": p.name, "shape": list(p.shape),
                                                "high_precision": p.high_precision}) for p in component.parameters()]  # fmt: skip
    tables += [toml_table("[[tensor]]", values) for values in _tensors(model, components, entries, files)]
    return "\n".join(tables)


def _settings(model: WanModel, digests: dict[str, str]) -> list[str]:
    text, transformer, vae = model.text, model.transformer, model.vae
    experts = sum(w.part == "transformer" for w in model.weights)
    head = {"format_version": FORMAT_VERSION, "kind": "generator", "family": "wan", "name": model.name,
            "architecture": model_name(transformer, experts)}  # fmt: skip
    if model.boundary_ratio is not None:
        head["boundary_ratio"] = model.boundary_ratio
    return [
        toml_table("", head),
        toml_table("[scheduler]", {"kind": model.scheduler.kind, "shift": model.scheduler.shift}),
        toml_table("[tokenizer]", {"file": TOKENIZER_FILE, "sha256": digests[TOKENIZER_FILE]}),
        toml_table("[text]", {"width": text.d_model, "vocabulary": text.vocab_size}),
        toml_table("[transformer]", {
            "width": transformer.width, "heads": transformer.num_attention_heads, "feed_forward": transformer.ffn_dim,
            "patch": list(transformer.patch_size), "grid_max": transformer.rope_max_seq_len}),
        toml_table("[latents]", {
            "channels": vae.z_dim, "stride_time": vae.stride_time, "stride_space": vae.stride_space,
            "mean": list(vae.latents_mean), "std": list(vae.latents_std)}),
    ]  # fmt: skip


def _tensors(model: WanModel, components: list[Component], entries: list[TableEntry], files: dict[str, str]) -> list[dict]:
    found = []
    for entry in entries:
        stored, scale = entry.tensor.stored, entry.tensor.scale
        found.append({"weights": entry.weights, "component": entry.component, "index": entry.index, "parameter": entry.parameter,
                      "file": files[stored.file], "name": stored.name, "dtype": stored.dtype})  # fmt: skip
        if scale is not None:
            found[-1] |= {"scale": scale.name}
    for weights in model.weights:
        found += [{"weights": weights.name, "component": c.name, "index": 0, "parameter": name, "file": TABLES_FILE,
                   "name": name, "dtype": TABLE_DTYPE}
                  for c in components if c.part == weights.part for name in c.tables]  # fmt: skip
    return found
