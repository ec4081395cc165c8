"""Looking at processes through /proc: who belongs to a command, and who is still there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

POLL_S = 0.005


@dataclass(frozen=True)
class Process:
    pid: int
    started: str  # in ticks since the machine's start: a number that is used again is another process

    def command(self) -> str:
        return _read(self.pid, "cmdline").replace("\0", " ")

    def alive(self) -> bool:
        fields = _stat(self.pid)
        return fields is not None and fields[19] == self.started and fields[0] != "Z"

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def resident_bytes(self) -> int:
        fields = _read(self.pid, "statm").split()
        return int(fields[1]) * os.sysconf("SC_PAGESIZE") if len(fields) > 1 else 0


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    """The fields after the program's name: state, parent, …"""
    text = _read(pid, "stat")
    return text[text.rindex(")") + 2 :].split() if ")" in text else None


def _all() -> dict[int, list[str]]:
    found = {}
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if fields is not None:
            found[int(name)] = fields
    return found


def descendants(pid: int) -> list[Process]:
    everyone = _all()
    found, front = [], [pid]
    while front:
        parent = front.pop()
        for child, fields in everyone.items():
            if int(fields[1]) == parent:
                found.append(Process(child, fields[19]))
                front.append(child)
    return found


def named(pid: int, *words: str) -> list[Process]:
    """Descendants of `pid` whose command line holds all of the words."""
    return [process for process in descendants(pid) if all(word in process.command() for word in words)]


def tied_to(folder: str) -> list[Process]:
    """Processes that were started with something about that folder, whoever their parent is now."""
    return [Process(pid, fields[19]) for pid, fields in _all().items()
            if pid != os.getpid() and fields[0] != "Z"
            and any(folder in _read(pid, name) for name in ("cmdline", "environ"))]


def wait_for(what: str, condition: Callable[[], object], deadline_s: float = 60.0):
    """The condition's first true answer; past the deadline the test fails and says what did not come."""
    until = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"waited {deadline_s:g} s for {what}")
        time.sleep(POLL_S)


def table() -> str:
    """Every process with its parent and state, a line each: for the message of a test that waited in vain."""
    return "\n".join(f"{pid} parent {fields[1]} {fields[0]} {_read(pid, 'cmdline').replace(chr(0), ' ')[:200]}"
                     for pid, fields in sorted(_all().items()))
