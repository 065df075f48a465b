"""Stands between a worker and the server it started, so that the server never outlives the worker.

    python guard.py GRACE COMMAND...

Run as a program of its own. It starts the command and ends it when standard input closes, which
the kernel does for a worker that dies in whatever way. Ending is SIGTERM to the command, then, after GRACE
seconds, SIGKILL to every process it ever started: orphans become this process's children
(PR_SET_CHILD_SUBREAPER, prctl(2)), so that none is missed. Those of a command that ended by itself get a
second, as the worker waits to hear of it. It exits as the command did.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL = 0.05
_ORPHANS_SECONDS = 1.0
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def main() -> int:
    """Guard one command to its end."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: told.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: PLW1509 - there is one thread
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    status: int | None = None
    while status is None and not told:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            status = _reaped(child.pid)
        if 0 in ready and not os.read(0, 4096):
            break
    status = _end(child, status, grace)
    return status if status >= 0 else 128 - status


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end(child: subprocess.Popen[bytes], status: int | None, grace: float) -> int:
    """End whatever still runs; return how the command itself ended."""
    if status is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGTERM)
    else:
        grace = min(grace, _ORPHANS_SECONDS)
    deadline = time.monotonic() + grace
    while living := psutil.Process().children(recursive=True):
        found = _reaped(child.pid)
        status = found if found is not None else status
        if time.monotonic() > deadline:
            for process in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        time.sleep(_POLL)
    found = _reaped(child.pid)
    return found if found is not None else status or 0


def _reaped(pid: int) -> int | None:
    """Take note of every child that has ended; return the status of *pid* if it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == pid:
                status = os.waitstatus_to_exitcode(ended[1])
    return status


if __name__ == "__main__":
    sys.exit(main())
