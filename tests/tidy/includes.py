"""Reads the #include lines: which folder includes which, and where heavy or impure headers may be."""

from __future__ import annotations

import re
from pathlib import Path

from source_tree import CPP, FOLDERS, ROOT, files, finish, lines

SHARED = {"base", "net", "sharding", "cache_store"}
MAY_INCLUDE = {
    "base": {"base"},
    "net": {"base", "net"},
    "sharding": {"base", "sharding"},
    "cache_store": SHARED,
    "coordinator": SHARED | {"coordinator"},
    "worker": SHARED | {"worker"},
    "lane": SHARED | {"lane"},
    "cli": SHARED | {"coordinator", "worker", "cli"},
    "tests": set(FOLDERS),
}
# Libraries and the only folders that may include them. "tests" stands for the tests of those folders.
ONLY_IN = {
    r"(ATen|c10|torch|cuda|nccl)(/|\.h|_)": {"lane"},
    r"google/protobuf/|.*\.pb\.h$": {"net"},
    r"boost/": {"net"},
    r"zmq": {"net"},
    r"CLI/": {"cli"},
    r"mpi\.h$": {"cli"},
    r"sentencepiece": {"lane"},
    r"spdlog/": {"base"},
}
# One include of these costs a second or more: a .cc file only.
HEAVY = re.compile(r"(ATen|c10|torch|boost|CLI|spdlog|google/protobuf|nlohmann|toml\+\+|zmq)[/.]|.*\.pb\.h$")
FORWARD_DECLARATIONS = {"nlohmann/json_fwd.hpp", "toml++/impl/forward_declarations.h"}
# Folders whose headers may hold tensors by value: everything that includes them pays for LibTorch anyway.
TENSOR_HEADERS = {Path("lane/engine"), Path("lane/pipelines")}
# sharding/ and */core/ decide; they touch nothing. Durations are values; clocks are found by IMPURE_CALL.
IMPURE = re.compile(r"(thread|mutex|shared_mutex|condition_variable|future|atomic|fstream|iostream|filesystem|random"
                    r"|ctime|cstdio|cstdlib|unistd\.h|fcntl\.h|poll\.h|sys/.*|dlfcn\.h)$"
                    r"|base/(fd|process|log|sealed_file|file_system|atomic_file)\.h$")
IMPURE_CALL = re.compile(r"\b(getenv|system_clock|steady_clock|high_resolution_clock|std::rand|random_device|std::time)\b")

INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)[>"]')


def is_pure(name: Path) -> bool:
    return name.parts[0] == "sharding" or (name.parts[0] != "tests" and "core" in name.parts[1:-1])


def owner(name: Path) -> str:
    """The folder whose rules hold: for tests/lane/x.cc that is lane."""
    return name.parts[1] if name.parts[0] == "tests" and len(name.parts) > 2 else name.parts[0]


def check_own(name: Path, target: str) -> str | None:
    folder = target.split("/")[0]
    if "/" not in target or folder not in FOLDERS:
        return None if target.endswith(".pb.h") else "a header of ours is named from the repository's root"
    if not (ROOT / target).is_file() and not target.endswith(".pb.h"):
        return "there is no such file"
    if folder not in MAY_INCLUDE[name.parts[0]]:
        return f"{name.parts[0]}/ may include only {', '.join(sorted(MAY_INCLUDE[name.parts[0]]))}"
    return None


def check_library(name: Path, target: str) -> str | None:
    for pattern, allowed in ONLY_IN.items():
        if re.match(pattern, target) and owner(name) not in allowed | {"integration", "gpu"}:
            return f"only {', '.join(sorted(allowed))}/ may include this"
    tensors = target.startswith(("ATen/", "c10/")) and name.parent in TENSOR_HEADERS
    light = target in FORWARD_DECLARATIONS or (name.parts[0] == "tests" and target.startswith("nlohmann/"))
    if name.suffix == ".h" and HEAVY.match(target) and not tensors and not light:
        return "a heavy header belongs in a .cc file"
    return None


def check_file(name: Path) -> list[str]:
    faults = []
    text = lines(name)
    if name.suffix == ".h" and "#pragma once" not in text:
        faults.append(f"{name}: no #pragma once")
    for number, line in enumerate(text, 1):
        match = INCLUDE.match(line)
        if match is None:
            if is_pure(name) and IMPURE_CALL.search(line.split("//")[0]):
                faults.append(f"{name}:{number}: a decision reads no clock, environment or chance")
            continue
        quote, target = match.groups()
        fault = check_own(name, target) if quote == '"' else None
        fault = fault or check_library(name, target)
        if fault is None and is_pure(name) and IMPURE.match(target):
            fault = "a decision does no input or output and knows no threads"
        if fault is not None:
            faults.append(f"{name}:{number}: {target}: {fault}")
    return faults


def main() -> None:
    sources = [name for name in files(*CPP) if name.parts[0] in FOLDERS]
    finish([fault for name in sources for fault in check_file(name)], f"{len(sources)} C++ files")


if __name__ == "__main__":
    main()
