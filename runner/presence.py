"""Whether a worker's records are still where its run expects them, noticed while it works."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from runner.errors import RunnerError


class RunGoneError(RunnerError):
    """Raised when the run folder or the records of a worker were deleted, renamed or replaced."""


class OpenedFile:
    """A file that is open, and the path that it was opened by."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        # Some file systems make inode numbers up at each look.
        self._numbered = path.stat().st_ino == os.fstat(fd).st_ino

    def gone(self) -> str:
        """Return why the file is no longer at its path; empty while it is, or where that can't be told now.

        A network file system that fails for a while, or has forgotten the file's handle, tells nothing.
        """
        try:
            there, opened = self._path.stat(), os.fstat(self._fd)
        except (FileNotFoundError, NotADirectoryError):
            return f"{self._path} is gone (deleted, or its folder renamed)"
        except OSError:
            return ""
        if opened.st_nlink == 0 or (self._numbered and there.st_ino != opened.st_ino):
            return f"{self._path} was replaced by another file"
        return ""


@asynccontextmanager
async def stopped_when_gone(gone: Callable[[], str], seconds: float) -> AsyncIterator[None]:
    """Cancel what happens inside as soon as its file is gone, which is looked for every so many seconds.

    Raises:
        RunGoneError: it is gone; what was under way is cancelled.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.create_task(_watch(task, gone, seconds))
    try:
        yield
    except (asyncio.CancelledError, OSError, RunnerError) as error:
        # Whatever noticed it first: a record that can't be read again fails with an error of its own.
        if reason := gone():
            task.uncancel()
            raise RunGoneError(f"{reason}: nothing more is sent, as no answer could be kept") from error
        raise
    else:
        if reason := gone():  # since the last look
            raise RunGoneError(f"{reason}: the last answers are not kept")
    finally:
        watcher.cancel()


async def _watch(task: asyncio.Task[object], gone: Callable[[], str], seconds: float) -> None:
    while True:
        # In a thread: a network file system may take its time.
        if await asyncio.to_thread(gone):
            task.cancel()
            return
        await asyncio.sleep(seconds)
