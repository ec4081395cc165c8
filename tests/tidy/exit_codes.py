"""The exit codes that README.md lists are those of base/error.h, and the two of signals that end a command."""

from __future__ import annotations

import re

from source_tree import ROOT, finish

OF_SIGNALS = {130, 143}


def main() -> None:
    header, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("base/error.h", "README.md"))
    body = re.search(r"enum class ExitCode[^{]*\{(.*?)\};", header, re.DOTALL)
    listed = re.search(r"^Exit codes: (.*?)<!--", readme, re.DOTALL | re.MULTILINE)
    known = {int(code) for code in re.findall(r"= (\d+)", body[1])} if body else set()
    told = {int(code) for code in re.findall(r"(?:^|, )\s*(\d+) ", listed[1].replace("\n", " "))} if listed else set()
    faults = [f"README.md does not list exit code {code}" for code in sorted((known | OF_SIGNALS) - told)]
    faults += [f"README.md lists exit code {code}, which base/error.h does not have" for code in sorted(told - known - OF_SIGNALS)]
    finish(faults, f"{len(known)} exit codes")


if __name__ == "__main__":
    main()
