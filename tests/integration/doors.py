"""Where processes can be reached: their listening sockets, from /proc. A door that nobody thought of is found as well."""

from __future__ import annotations

import os
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import processes

TCP_LISTEN = "0A"
UNIX_ACCEPTS = 1 << 16  # of a socket's flags in /proc/net/unix


@dataclass(frozen=True)
class Door:
    pid: int
    kind: str  # tcp, tcp6, udp, udp6, unix
    host: str  # of unix sockets the path
    port: int


def of_process_and_children(pid: int) -> list[Door]:
    everyone = [pid, *(child.pid for child in processes.descendants(pid))]
    return sorted((door for one in everyone for door in _of(one)), key=lambda door: (door.pid, door.port))


def _of(pid: int) -> list[Door]:
    """Of one process, in its own network; none of one that has ended meanwhile."""
    sockets = set()
    try:
        for entry in os.listdir(f"/proc/{pid}/fd"):
            found = re.fullmatch(r"socket:\[(\d+)\]", _link(f"/proc/{pid}/fd/{entry}"))
            if found:
                sockets.add(found[1])
        return [door for door, inode in _listening(pid) if inode in sockets]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed since
        return ""


def _listening(pid: int):
    net = Path(f"/proc/{pid}/net")
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in (net / kind).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == TCP_LISTEN or kind.startswith("udp"):
                host, _, port = fields[1].partition(":")
                yield Door(pid, kind, _address(host), int(port, 16)), fields[9]
    for line in (net / "unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if int(fields[3], 16) & UNIX_ACCEPTS:
            yield Door(pid, "unix", fields[7] if len(fields) > 7 else "", 0), fields[6]


def _address(text: str) -> str:
    """The kernel prints the address in words of the machine's byte order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, raw)
