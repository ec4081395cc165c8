"""Every promise has a test, and every test that is named exists.

A promise is marked where it is made, in README.md or docs/, by a comment `<!-- promise: NAME -->`; tests/README.md
has a row `| NAME | what is promised | tests |` for it. Names of tests are in backticks; `Subject.*` stands for all
tests of that subject. Rows whose NAME starts with `feature-` promise something that no page marks."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess

from source_tree import ROOT, files, finish, lines

MARK = re.compile(r"<!-- promise: ([a-z0-9-]+) -->")
HEADINGS = {"promise", "feature"}
ROW = re.compile(r"^\| *([a-z][a-z0-9-]*) *\|([^|]+)\|([^|]+)\|$")


def known_tests() -> set[str]:
    listing = subprocess.run(["ctest", "--test-dir", os.environ["KILN_BINARY_DIR"], "--show-only=json-v1"],
                             check=True, capture_output=True, text=True).stdout
    return {test["name"] for test in json.loads(listing)["tests"]}


def marked_promises() -> dict[str, str]:
    pages = [name for name in files(".md") if str(name) == "README.md" or name.parts[0] == "docs"]
    return {match: f"{page}:{number}" for page in pages
            for number, line in enumerate(lines(page), 1) for match in MARK.findall(line)}


def main() -> None:
    tests = known_tests()
    marked = marked_promises()
    rows: dict[str, list[str]] = {}
    faults = []
    for number, line in enumerate(lines(ROOT / "tests" / "README.md"), 1):
        row = ROW.match(line)
        if row is None or row[1] in HEADINGS:
            continue
        name, names = row[1], re.findall(r"`([^`]+)`", row[3])
        if name in rows:
            faults.append(f"tests/README.md:{number}: '{name}' has two rows")
        rows[name] = names
        if not names:
            faults.append(f"tests/README.md:{number}: '{name}' names no test")
        faults += [f"tests/README.md:{number}: there is no test '{test}'" for test in names
                   if not fnmatch.filter(tests, test)]
    faults += [f"{place}: promise '{name}' has no row in tests/README.md" for name, place in marked.items()
               if name not in rows]
    faults += [f"tests/README.md: '{name}' is promised on no page" for name in rows
               if name not in marked and not name.startswith("feature-")]
    finish(faults, f"{len(rows)} promises and {len(tests)} tests")


if __name__ == "__main__":
    main()
