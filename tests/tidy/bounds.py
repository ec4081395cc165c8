"""Every bound of the farm's processes is told of: docs/bounds.md has a row for each constant `k…Max`, `k…Kept`, `k…PerLane`
of its folder, and the row names a metric or says why nothing counts it. That the metrics exist is another test's."""

from __future__ import annotations

import re

from source_tree import finish, files, lines

FOLDERS = ("net", "coordinator", "worker", "cache_store")
BOUND = re.compile(r"\bconstexpr [^=({]*?\b(k[A-Z]\w*?(?:Max|Kept|PerLane))\b\s*[={]")
PAGE = "docs/bounds.md"
HEADING = re.compile(r"^## (\w+)$")
NOT_COUNTED = "not counted: "


def bounds_of(folder: str) -> dict[str, str]:
    """Where each is: by its name, which two files of a folder may use."""
    sources = [name for suffix in (".h", ".cc") for name in files(suffix) if name.parts[0] == folder]
    return {name: f"{source}:{number}" for source in sources
            for number, line in enumerate(lines(source), 1) for name in BOUND.findall(line)}


def read_page(text: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Names by folder, and what is wrong with the rows themselves."""
    told: dict[str, list[str]] = {}
    faults, folder = [], ""
    for number, line in enumerate(text, 1):
        if line.startswith("## "):
            found = HEADING.match(line)
            folder = found[1] if found and found[1] in FOLDERS else ""
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("| `k") else []
        if not folder or not cells:
            continue
        told.setdefault(folder, []).extend(re.findall(r"`(k\w+)`", cells[0]))
        if len(cells) != 3 or not ("`kiln_" in cells[2] or cells[2].startswith(NOT_COUNTED)):
            faults.append(f"{PAGE}:{number}: names no metric, and does not begin with '{NOT_COUNTED}'")
    return told, faults


def compare(bounds: dict[str, dict[str, str]], told: dict[str, list[str]]) -> list[str]:
    faults = []
    for folder, known in bounds.items():
        named = told.get(folder, [])
        faults += [f"{place}: {PAGE} does not tell of {name}" for name, place in known.items() if name not in named]
        faults += [f"{PAGE}: {folder}/ has no {name}" for name in sorted(set(named)) if name not in known]
        faults += [f"{PAGE}: {name} of {folder}/ is told of twice" for name in sorted(set(named)) if named.count(name) > 1]
    return faults


def main() -> None:
    bounds = {folder: bounds_of(folder) for folder in FOLDERS}
    told, faults = read_page(lines(PAGE))
    finish(faults + compare(bounds, told), f"{sum(map(len, bounds.values()))} bounds")


if __name__ == "__main__":
    main()
