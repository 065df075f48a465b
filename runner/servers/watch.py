"""Sees to it that the processes which an engine in this process starts never outlive it.

Run as a program, it is told numbers of processes, a line each, and kills those that still run once
its standard input closes, which the kernel does for a worker that dies in whatever way.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import psutil

_EVERY_SECONDS = 1.0
_GONE_SECONDS = 30.0
_POLL_SECONDS = 0.05


class Watch:
    """Processes that this one starts, from entering until `settle`, end with it, and when it is left.

    *held* are descriptors that stay open until they are gone, such as the locks of their devices.
    """

    def __init__(self, held: Sequence[int] = ()) -> None:
        self._held = tuple(held)
        self._over = threading.Event()
        self._told: set[int] = set()
        self._before: set[int] = set()

    def __enter__(self) -> Self:
        self._before = _children()
        self._watcher = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            pass_fds=self._held,
            start_new_session=True,  # it has to outlive a Ctrl-C at the terminal
        )
        self._before.add(self._watcher.pid)
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()
        return self

    def settle(self) -> None:
        """Take note that all processes are there now: later ones are not its own."""
        self._over.set()
        self._thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()

    def _look(self) -> None:
        """Tell the watcher of each new process."""
        assert self._watcher.stdin is not None
        over = False
        while not over:
            over = self._over.wait(_EVERY_SECONDS)
            found = _children() - self._before
            with contextlib.suppress(BrokenPipeError):
                self._watcher.stdin.write("".join(f"{pid}\n" for pid in found - self._told).encode())
                self._watcher.stdin.flush()
            self._told |= found


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def main() -> None:
    """Wait for the worker's end, then kill what it left; whoever has one of the numbers by then is spared."""
    told = []
    for line in sys.stdin:
        with contextlib.suppress(psutil.NoSuchProcess):
            told.append(psutil.Process(int(line)))
    for process in told:
        if process.pid in {1, os.getpid()}:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + _GONE_SECONDS
    while any(map(_lives, told)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _lives(process: psutil.Process) -> bool:
    """Tell whether a process holds anything yet; its parent may not have taken note of its end."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main()
