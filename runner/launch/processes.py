"""Which process is which: a pid alone is reused, a pid with its start time and boot is not."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    """One process of one host.

    Attributes:
        pid: its number.
        start_time: clock ticks from boot to its start.
        boot_id: of the kernel that it runs under.
        host: name of the machine.
    """

    pid: int
    start_time: int
    boot_id: str
    host: str


@cache
def boot_id() -> str:
    """Return the id that the kernel drew at boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat(pid: int) -> list[str] | None:
    """Return /proc/PID/stat from the state letter on, or None once the process is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the command's name may hold spaces and brackets
    return None if fields[0] in "ZX" else fields


def find_process(pid: int) -> Process | None:
    """Return who has *pid* on this host now, or None."""
    fields = _stat(pid)
    return None if fields is None else Process(pid, int(fields[19]), boot_id(), socket.gethostname())


def this_process() -> Process:
    """Return the calling process."""
    process = find_process(os.getpid())
    assert process is not None
    return process


def is_running(process: Process) -> bool | None:
    """Tell whether *process* still runs; None where only its own host could tell."""
    if process.host != socket.gethostname():
        return None
    return find_process(process.pid) == process


def session_members(session: int) -> list[Process]:
    """Return every process of a session, in whatever process group."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat(int(entry.name))
        if fields is not None and int(fields[3]) == session:
            members.append(Process(int(entry.name), int(fields[19]), boot_id(), socket.gethostname()))
    return members
