"""The child's side of `runner.isolated`: reads calls from its input, and answers each on its output."""

from __future__ import annotations

import fcntl
import os
import pickle
import select
import signal
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, BinaryIO

from runner.errors import AskError, raised_by_user
from runner.isolated import IsolatedError

_LENGTH = struct.Struct(">Q")


def main(lifeline: int) -> None:
    """Answer calls until the parent is gone."""
    source = os.fdopen(os.dup(0), "rb")
    out = os.fdopen(os.dup(1), "wb")
    _detach()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the parent, which decides what becomes of us
    _die_with_parent(lifeline)
    while frame := _read(source):
        built, args, seconds, start_seconds = pickle.loads(frame)  # noqa: S301 - what our parent wrote
        function, error = _limited(start_seconds, _build, built)
        _write(out, None)
        result = None
        if function is not None:
            result, error = _limited(seconds, _call, function, args)
        _write(out, (result, error))


def _detach() -> None:
    """Keep what a user's code reads and prints apart from the calls and their answers."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)


def _die_with_parent(lifeline: int) -> None:
    """Have the kernel end this process once the pipe's other end is closed: a thread might get no turn."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it was closed just before
        os._exit(1)


def _limited(seconds: float, call: Callable[..., Any], *args: Any) -> tuple[Any, Exception | None]:
    """Return a call's result or error; the kernel ends this process if it takes longer than *seconds*."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call(*args), None
    except AskError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - a user's code may raise anything: the parent reports it
        return None, IsolatedError(raised_by_user(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@lru_cache(maxsize=64)
def _build(built: bytes) -> Callable[..., Any]:
    build, args = pickle.loads(built)  # noqa: S301 - what our parent wrote
    function: Callable[..., Any] = build(*args)
    return function


def _call(function: Callable[..., Any], args: bytes) -> Any:
    return function(*pickle.loads(args))  # noqa: S301 - what our parent wrote


def _read(source: BinaryIO) -> bytes:
    head = source.read(_LENGTH.size)
    return source.read(*_LENGTH.unpack(head)) if len(head) == _LENGTH.size else b""


def _write(out: BinaryIO, value: Any) -> None:
    data = pickle.dumps(value)
    out.write(_LENGTH.pack(len(data)) + data)
    out.flush()
