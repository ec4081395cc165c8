"""Reads a package of a text-to-video model as its manifest says, and runs its graphs with its weights."""

from __future__ import annotations

import os
import pathlib
import tomllib

import torch
from kiln_import import graph_file
from safetensors import safe_open

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Package:
    def __init__(self, folder: str):
        self.folder = pathlib.Path(folder)
        self.manifest = tomllib.loads((self.folder / "manifest.toml").read_text(encoding="utf-8"))
        self.components = {c["name"]: c for c in self.manifest["component"]}
        self.parameters = {name: [p for p in self.manifest["parameter"] if p["component"] == name] for name in self.components}
        self.tensors = {(t["weights"], t["component"], t["index"], t["parameter"]): t for t in self.manifest["tensor"]}
        self.programs: dict[tuple[str, str], torch.export.ExportedProgram] = {}

    def tensor(self, weights: str, component: str, index: int, parameter: str) -> torch.Tensor:
        entry = self.tensors[weights, component, index, parameter]
        with safe_open(os.path.join(self.folder, entry["file"]), "pt") as file:
            value = file.get_tensor(entry["name"])
            if "scale" in entry:
                value = value.float() * file.get_tensor(entry["scale"]).float()
        return value

    def run(self, weights: str, component: str, *inputs: torch.Tensor, index: int = 0, dtype: str = "float32") -> tuple:
        key = component, dtype
        if key not in self.programs:
            entry = next(g for g in self.manifest["graph"] if (g["component"], g["dtype"]) == key)
            self.programs[key] = graph_file.read_program((self.folder / entry["file"]).read_bytes())
        values = []
        for parameter in self.parameters[component]:
            value = self.tensor(weights, component, index, parameter["name"])
            values.append(value.to(torch.float32 if parameter["high_precision"] else DTYPES[dtype]))
        with torch.no_grad():
            return self.programs[key].graph_module(*inputs, *values)

    def decode(self, latents: torch.Tensor, dtype: str = "float32") -> list[torch.Tensor]:
        frames, *caches = self.run("vae", "decoder_first", latents[:, :, :1], dtype=dtype)
        decoded = [frames]
        for at in range(1, latents.shape[2]):
            frames, *caches = self.run("vae", "decoder_next", latents[:, :, at : at + 1], *caches, dtype=dtype)
            decoded.append(frames)
        return decoded
