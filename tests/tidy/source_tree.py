"""The files of the repository, and how a check reports what it finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("KILN_SOURCE_DIR") or Path(__file__).resolve().parents[2])
NOT_SOURCES = {".git", "build", "dist", ".cache", "__pycache__"}
CPP = {".h", ".cc", ".cu"}
FOLDERS = ("base", "net", "sharding", "cache_store", "coordinator", "worker", "lane", "cli", "tests")


def files(*suffixes: str) -> list[Path]:
    """Files of the repository, relative to its root; of an unpacked archive, all that is there."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("git") else None
    if listed is not None and listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        names = [Path(folder, name).relative_to(ROOT) for folder, inner, leaves in os.walk(ROOT)
                 for name in leaves if name not in NOT_SOURCES and not NOT_SOURCES & set(Path(folder).relative_to(ROOT).parts)]
    found = sorted(name for name in names if not suffixes or name.suffix in suffixes)
    return [name for name in found if (ROOT / name).is_file()]


def lines(name: Path) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace").splitlines()


def finish(faults: list[str], looked_at: str) -> None:
    """Ends the check; `looked_at` says on what, and a check that looked at nothing has failed."""
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults in {looked_at}")
    sys.exit(1 if faults or looked_at.startswith("0 ") else 0)
