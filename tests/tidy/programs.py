"""What the two programs are linked to, and how fast `kiln` starts.

With --toolkit instead: no compile line, link line or library search names a CUDA toolkit of this machine.
With --lane instead: `kiln-lane` names the libraries that it is meant to, and no other."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from source_tree import finish

BUILD = Path(os.environ["KILN_BINARY_DIR"])
PROGRAMS = (BUILD / "bin" / "kiln", BUILD / "bin" / "kiln-lane")
START_MS_MAX = 20.0
START_RUNS = 21
# What a lane names itself, beyond the base system's: libraries are added on purpose, with a row in THIRD_PARTY.md.
LANE_NEEDS = {"libc10.so", "libcrypto.so.3", "libfmt.so.9", "libsentencepiece.so.0", "libsodium.so.23", "libspdlog.so.1.10", "libtomlplusplus.so.3",
              "libtorch_cpu.so", "libxxhash.so.0"}
BASE_SYSTEM = re.compile(r"(ld-linux.*|lib(c|m|mvec|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s|asan|ubsan|tsan))\.so")
NOT_IN_KILN = re.compile(r"lib(torch|c10|mpi|open-rte|open-pal|cuda|cudart|nvrtc|nccl|python)")


def output(*command: str | Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def needed(program: Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-dW", program))


def search_paths(program: Path) -> list[str]:
    return [path for entry in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", output("readelf", "-dW", program))
            for path in entry.split(":")]


def resolved(program: Path) -> list[str]:
    """Every library that the program would load, directly or not, as 'name => path'."""
    return [line.strip() for line in output("ldd", program).splitlines()]


def start_ms(program: Path) -> float:
    """The median of some runs: what a user sees, not the luckiest one."""
    taken = []
    for _ in range(START_RUNS):
        started = time.monotonic()
        subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL, close_fds=False)
        taken.append((time.monotonic() - started) * 1000)
    return statistics.median(taken)


def check_kiln() -> None:
    kiln = PROGRAMS[0]
    faults = [f"kiln loads {library}" for library in resolved(kiln) if NOT_IN_KILN.match(library)]
    faults += [f"kiln searches {path} for libraries" for path in search_paths(kiln) if "torch" in path]
    milliseconds = start_ms(kiln)
    if milliseconds > START_MS_MAX:
        faults.append(f"kiln --version takes {milliseconds:.1f} ms; at most {START_MS_MAX:.0f}")
    finish(faults, f"{len(needed(kiln))} libraries of kiln, which starts in {milliseconds:.1f} ms")


def check_lane() -> None:
    own = {name for name in needed(PROGRAMS[1]) if not BASE_SYSTEM.match(name)}
    faults = [f"kiln-lane needs {name}, which it is not meant to" for name in sorted(own - LANE_NEEDS)]
    faults += [f"kiln-lane does not need {name}" for name in sorted(LANE_NEEDS - own)]
    # Of two copies of protobuf in one process one must be hidden; sentencepiece's is not.
    shown = re.findall(r" [TWVR] (.*google::protobuf::.*)", output("nm", "-DC", "--defined-only", PROGRAMS[1]))
    faults += [f"kiln-lane shows {name}, as sentencepiece does" for name in shown[:3]]
    finish(faults, f"{len(own)} libraries of kiln-lane")


def toolkit_paths(text: str) -> set[str]:
    """Paths of a CUDA toolkit in a command or a list of libraries; those inside Python's wheels are none."""
    paths = re.findall(r"(?:(?<=^)|(?<=[\s=:\[,\"'LI]))(/[^\s:\],\"']+)", text)
    named = {os.path.realpath(value) for name in ("CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT")
             if (value := os.environ.get(name))}
    return {path for path in paths if "site-packages" not in path and not path.startswith(str(BUILD))
            and (re.search(r"/(cuda[-\d.]*|nvidia(-cuda-toolkit)?|nvcc)(/|$)", path)
                 or any(os.path.realpath(path).startswith(root + "/") for root in named))}


def check_toolkit() -> None:
    commands = [entry["command"] for entry in json.loads((BUILD / "compile_commands.json").read_text())]
    links = output("ninja", "-C", BUILD, "-t", "commands", "all").splitlines()
    faults = [f"command uses {path}" for command in commands + links for path in toolkit_paths(command)]
    for program in PROGRAMS:
        faults += [f"{program.name} needs {name}" for name in needed(program) if re.match(r"lib(cu|nv|nccl)", name)]
        faults += [f"{program.name} searches {path}" for path in toolkit_paths("\n".join(search_paths(program)))]
        faults += [f"{program.name} loads {path}" for path in toolkit_paths("\n".join(resolved(program)))]
    finish(sorted(set(faults)), f"{len(commands)} compile commands, {len(links)} build commands and two programs")


if __name__ == "__main__":
    {"--toolkit": check_toolkit, "--lane": check_lane}.get("".join(sys.argv[1:]), check_kiln)()
