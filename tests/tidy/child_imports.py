"""The compile child runs under whichever interpreter holds torch: it imports that, the standard library and itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from source_tree import ROOT, files, finish

FOLDER = Path("python/kiln_compile")
ALLOWED = {"torch", FOLDER.name, *sys.stdlib_module_names}
# Would import what no reader of the source sees.
BY_NAME = {"import_module", "__import__"}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""] if node.level == 0 else []
    return []


def check_file(name: Path) -> list[str]:
    faults = []
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        faults += [f"{name}:{node.lineno}: imports {module}; only torch and the standard library are there"
                   for module in imported(node) if module.split(".")[0] not in ALLOWED]
        called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if called in BY_NAME:
            faults.append(f"{name}:{node.lineno}: {called} hides what is imported")
    return faults


def main() -> None:
    sources = [name for name in files(".py") if name.parent == FOLDER]
    finish([fault for name in sources for fault in check_file(name)], f"{len(sources)} files of the compile child")


if __name__ == "__main__":
    main()
