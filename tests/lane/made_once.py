"""What tests compare with, made by the first that asks for it and kept: many test programs ask at the same time."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
from collections.abc import Callable


def made_once(description: str, make: Callable[[str], None]) -> None:
    """The command line `--out PATH`: a file or a folder that `make` writes, under its name when it is whole."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(f"{out}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(out):
            return
        shutil.rmtree(f"{out}.partial", ignore_errors=True)
        make(f"{out}.partial")
        os.rename(f"{out}.partial", out)
