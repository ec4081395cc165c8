"""Hosts that share nothing, on one machine: each has a network namespace of its own, and programs on it see of all the
tests' files the host's own folder alone. A bridge on the first host joins them. Needs root."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

COMMAND_DEADLINE_S = 20
SUBNET = "10.77.0"
# Keeps OWN, hides ROOT behind an empty file system, then becomes the program.
HIDE = """set -e
root=$1 own=$2; shift 2
mount --bind "$own" /mnt
mount -t tmpfs none "$root"
mkdir -p "$own"
mount --move /mnt "$own"
exec "$@"
"""
_numbers = itertools.count()


def _run(*command: object) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=COMMAND_DEADLINE_S, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def why_impossible() -> str:
    """Empty where namespaces can be made."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        with Islands(Path("/"), ["probe"]):
            _run("unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt")
    except (OSError, subprocess.SubprocessError) as error:
        return f"no namespaces: {error}"
    return ""


class Islands:
    """`root` is the folder that holds everything that the tests make; each host's own folder is root/…/NAME."""

    def __init__(self, root: Path, names: list[str]):
        self._root = root
        self._prefix = f"kiln{os.getpid()}-{next(_numbers)}"
        self._made: list[str] = []
        self.names = names
        try:
            for number, name in enumerate(names):
                self._make(number, name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Islands:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Interfaces go with their namespace, and it goes with the last process in it."""
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=COMMAND_DEADLINE_S, check=False)
        self._made.clear()

    def _space(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def address(self, name: str) -> str:
        return f"{SUBNET}.{self.names.index(name) + 1}"

    def _make(self, number: int, name: str) -> None:
        space, hub = self._space(name), self._space(self.names[0])
        _run("ip", "netns", "add", space)
        self._made.append(space)
        _run("ip", "-n", space, "link", "set", "lo", "up")
        if number == 0:
            _run("ip", "-n", space, "link", "add", "eth0", "type", "bridge")
        else:
            _run("ip", "-n", hub, "link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            _run("ip", "-n", hub, "link", "set", f"veth{number}", "master", "eth0", "up")
        _run("ip", "-n", space, "address", "add", f"{self.address(name)}/24", "dev", "eth0")
        _run("ip", "-n", space, "link", "set", "eth0", "up")

    def command(self, name: str, own: Path | None, command: list[str]) -> list[str]:
        """The program on that host; with `own` it sees no other folder below the root. The process is the program's."""
        on_host = ["nsenter", f"--net=/run/netns/{self._space(name)}"]
        if own is None:
            return [*on_host, *command]
        hide = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HIDE, "sh", str(self._root), str(own)]
        return [*on_host, *hide, *command]
