"""Which sources shape the code of an artifact: their hash is a field of the artifact key, so that a change in one of
them makes new artifacts. What shapes no code (protocol, measuring) stays out of it. worker/host_probe.cc makes the same hash."""

from __future__ import annotations

import hashlib
import os

RECIPE_FILES = ("compiler.py", "program.py", "recipe.py", "include/nv/target")


def recipe_sha256(folder: str) -> str:
    digest = hashlib.sha256()
    for name in RECIPE_FILES:
        with open(os.path.join(folder, name), "rb") as file:
            text = file.read()
        digest.update(f"{name} {len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()
