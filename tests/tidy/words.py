"""Words and names that do not belong in the repository. Those that this file would itself contain are put together."""

from __future__ import annotations

import re
from pathlib import Path

from source_tree import files, finish, lines

PICTURES = {".png", ".jpg", ".mp4", ".bin"}
NAME = re.compile(r"(^|_)(manager|helpers?|utils?|common|misc)(_|\.|$)")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b(?!\(#\d+\))")
# Paths of one person's machine: nothing of the repository may depend on them.
MACHINE = re.compile(r"(?<![\w.$}/])/(ro" r"ot/|wo" r"rk/(main|wt|shared)\b|ho" r"me/\w+|tmp/k\b)")
REGISTRIES = re.compile(r"\b(py" r"pi\.org|pythonhosted\.|deb\." r"debian\.org|hugging" r"face\.co|down" r"load\.pytorch\.)")


def check_line(name: Path, line: str) -> str | None:
    if UNFINISHED.search(line):
        return "unfinished work is no comment: finish it, or name the report that tracks it as in (#12)"
    if MACHINE.search(line):
        return "a path of one machine"
    if REGISTRIES.search(line):
        return "a registry's host: packages are named, hosts are the machine's own setting"
    return None


def check_file(name: Path) -> list[str]:
    faults = [f"{name}: '{part}' says nothing of what is in it" for part in name.parts if NAME.search(part)]
    for number, line in enumerate(lines(name), 1):
        fault = check_line(name, line)
        if fault is not None:
            faults.append(f"{name}:{number}: {fault}: {line.strip()[:80]}")
    return faults


def main() -> None:
    texts = [name for name in files() if name.suffix not in PICTURES]
    finish([fault for name in texts for fault in check_file(name)], f"{len(texts)} files")


if __name__ == "__main__":
    main()
