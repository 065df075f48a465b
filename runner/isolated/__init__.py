"""Calls functions in child processes that can be ended: what a user wrote, or a schema, may never return.

A thread can't be ended, and one that holds the interpreter lock stops every other. The children start with
the first call, stay for the next ones, and end with this process. The kernel ends a child whose call takes
longer than its limit, even if this process is gone by then.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from runner.errors import RunnerError

PROCESSES = 2
"""Children at once."""

START_SECONDS = 120.0
"""How long a child may take to start, and to import and build what it is to call."""

_GRACE_SECONDS = 5.0
"""Added here to a call's limit, for calls that take over the child's own timer."""

_START = "import sys; sys.path[:] = {path!r}; from runner.isolated.child import main; main({lifeline})"
_LENGTH = struct.Struct(">Q")


class IsolatedError(RunnerError):
    """Raised when a call has no result: it raised, took too long, or its process died."""


class Isolated:
    """A function that is built and called in a child process."""

    def __init__(self, build: Callable[..., Callable[..., Any]], *args: Any, seconds: float) -> None:
        """Describe the function; nothing is started yet.

        Args:
            build: returns the function; called once in each child, and importable there.
            args: what *build* is called with; must pickle, as must what the function takes and returns.
            seconds: time limit of one call.
        """
        self._built = pickle.dumps((build, args))
        self._seconds = seconds

    def __call__(self, *args: Any) -> Any:
        """Call the function, and wait for its result.

        Raises:
            IsolatedError: the function raised anything else, took too long, or its process died.
            AskError: the function raised it.
        """
        with _pool.one() as child:
            return child.call(self._built, args, self._seconds)


class _Child:
    """One process; used by one thread at a time."""

    def __init__(self) -> None:
        # Nothing is ever written to it: all that can come of it is that it is closed, as this process ends.
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(path=sys.path, lifeline=lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(lifeline,),
            )
        except OSError:
            os.close(self._lifeline)
            raise
        finally:
            os.close(lifeline)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def call(self, built: bytes, args: tuple[Any, ...], seconds: float) -> Any:
        frame = pickle.dumps((built, pickle.dumps(args), seconds, START_SECONDS))
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(_LENGTH.pack(len(frame)) + frame)
            self._process.stdin.flush()
            self._reply(time.monotonic() + START_SECONDS + _GRACE_SECONDS)  # it is built
            result, error = self._reply(time.monotonic() + seconds + _GRACE_SECONDS)
        except (OSError, EOFError) as failure:
            raise self._ended(seconds, late=isinstance(failure, TimeoutError)) from None
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """End the process, whatever it does."""
        process = self._process
        process.kill()
        process.wait()
        os.close(self._lifeline)
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was not flushed has nobody to read it
                if pipe is not None:
                    pipe.close()

    def _ended(self, seconds: float, *, late: bool) -> IsolatedError:
        if late:
            self._process.kill()
        code = self._process.wait()
        if late or code == -_ALARM:
            return IsolatedError(f"took longer than {seconds:g} s")
        return IsolatedError(f"its process died ({f'signal {-code}' if code < 0 else f'exit code {code}'})")

    def _reply(self, until: float) -> Any:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, until))
        return pickle.loads(self._read(length, until))  # noqa: S301 - what our own process wrote

    def _read(self, size: int, until: float) -> bytes:
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        ready = select.poll()  # unlike select(), it takes descriptors above 1,024
        ready.register(source, select.POLLIN)
        parts = []
        while size:
            if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError
            part = os.read(source, size)
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


_ALARM = 14
"""The signal that ends a child whose call took too long."""


class _Pool:
    """The children of this process; a forked one begins anew."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._free = threading.BoundedSemaphore(PROCESSES)
        self._idle: list[_Child] = []

    @contextmanager
    def one(self) -> Iterator[_Child]:
        """Lend a child; waits until one is free."""
        if self._pid != os.getpid():
            self.__init__()  # type: ignore[misc]
        with self._free:
            child = self._idle.pop() if self._idle else _Child()
            try:
                yield child
            except RunnerError:
                self._keep(child)
                raise
            except BaseException:
                child.end()  # an answer may still come from it, which would be taken for the next call's
                raise
            self._keep(child)

    def _keep(self, child: _Child) -> None:
        if child.alive:
            self._idle.append(child)
        else:
            child.end()

    def close(self) -> None:
        """End the idle children."""
        while self._idle and self._pid == os.getpid():
            self._idle.pop().end()


_pool = _Pool()
atexit.register(_pool.close)
