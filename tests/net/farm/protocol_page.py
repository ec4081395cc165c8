"""docs/protocol.md says of every message and enum of net/kiln.proto each field, with its number and type, and no other."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ["KILN_SOURCE_DIR"])
OPENS = re.compile(r"^(message|enum) (\w+) \{(\})?")
FIELD = re.compile(r"^\s+(?:(repeated )?(\w+) )?(\w+) = (\d+);")
HEADING = re.compile(r"^#### `(\w+)`")
ROW = re.compile(r"^\| (\d+) \| `(\w+)` \| ([^|]*?) \|")

Fields = set[tuple[str, str, str]]  # number, name, type


def from_proto(text: str) -> dict[str, Fields]:
    found: dict[str, Fields] = {}
    current = ""
    for line in text.splitlines():
        if opens := OPENS.match(line):
            current = opens[2]
            found[current] = set()
        elif (field := FIELD.match(line)) and not field[3].endswith("_UNSPECIFIED"):
            found[current].add((field[4], field[3], (field[1] or "") + (field[2] or "value")))
    return found


def from_page(text: str) -> dict[str, Fields]:
    found: dict[str, Fields] = {}
    current = ""
    for line in text.splitlines():
        if heading := HEADING.match(line):
            current = heading[1]
            found[current] = set()
        elif line.startswith("#"):
            current = ""
        elif current and (row := ROW.match(line)):
            found[current].add((row[1], row[2], row[3]))
    return found


def main() -> None:
    proto = from_proto((ROOT / "net" / "kiln.proto").read_text(encoding="utf-8"))
    page = from_page((ROOT / "docs" / "protocol.md").read_text(encoding="utf-8"))
    faults = [f"{name}: is not on the page" for name in proto.keys() - page.keys()]
    faults += [f"{name}: is on the page, and nowhere else" for name in page.keys() - proto.keys()]
    for name in proto.keys() & page.keys():
        faults += [f"{name}: the page lacks {number} {field} ({kind})" for number, field, kind in proto[name] - page[name]]
        faults += [f"{name}: only the page has {number} {field} ({kind})" for number, field, kind in page[name] - proto[name]]
    for fault in sorted(faults):
        print(fault)
    print(f"{len(faults)} faults in {len(proto)} messages and {sum(map(len, proto.values()))} fields")
    sys.exit(1 if faults or not proto else 0)


if __name__ == "__main__":
    main()
