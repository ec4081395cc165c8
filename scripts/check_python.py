"""Checks that the interpreter running this has exactly the package versions of a constraints file."""

import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys


def pins(path: str) -> dict[str, str]:
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line.split("#")[0].strip())
            if match:
                found[match[1]] = match[2]
    return found


def torch_version() -> str:
    """As written in torch's own version.py: the metadata may say what a half-replaced package does not hold."""
    folder = os.path.dirname(importlib.util.find_spec("torch").origin)
    with open(os.path.join(folder, "version.py"), encoding="utf-8") as text:
        return re.search(r"__version__ = '([^'+]+)", text.read())[1]


def main() -> int:
    wanted = pins(sys.argv[1])
    faults = []
    for name, version in wanted.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "absent"
        if installed.split("+")[0] != version:
            faults.append(f"{name}: wanted {version}, found {installed}")
    if torch_version() != wanted["torch"]:
        faults.append(f"torch: wanted {wanted['torch']}, its version.py says {torch_version()}")
    for fault in faults:
        print(f"check_python: {fault}", file=sys.stderr)
    if faults:
        return 1
    for name in ("torch", "torchvision", "spandrel", "safetensors", "diffusers", "transformers", "sentencepiece", "ftfy"):
        importlib.import_module(name)
    print(f"{len(wanted)} Python packages have the versions of {sys.argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
