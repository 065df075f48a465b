"""What an LLM has running in this process, from its first use to its end or the process's."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from runner.llm.declared import Declared
from runner.llm.process import here
from runner.llm.running import Running

T = TypeVar("T")
_EXIT_SECONDS = 10.0

_alive: weakref.WeakSet[Running] = weakref.WeakSet()


class Held:
    """What one LLM has running, if anything."""

    def __init__(self) -> None:
        self._running: Running | None = None

    def running(self, declared: Declared) -> Running:
        """Return it, or a new one."""
        with here.lock:
            found = self._own()
            if found is None:
                found = self._running = Running(declared)
                _alive.add(found)
            return found

    def release(self) -> Running | None:
        """Let it go: whoever takes it closes it."""
        with here.lock:
            found, self._running = self._own(), None
            return found

    def abandon(self) -> None:
        """Close it for an LLM that nobody holds any more; waits for nothing."""
        if (running := self.release()) is not None:
            on_loop(running.close())

    def _own(self) -> Running | None:
        if self._running is not None and self._running.pid != here.pid:
            here.keep(self._running)
            self._running = None
        return self._running


def on_loop(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine on the process's loop."""
    return here.thread.submit(coroutine)


def waited(future: Future[T]) -> T:
    """Return what a future comes to; where waiting is interrupted, it is cancelled."""
    try:
        return future.result()
    finally:
        future.cancel()


def _end_all() -> None:
    """End what still runs when the interpreter exits; what outlives that is ended by its guard."""
    running = [one for one in _alive if one.pid == here.pid]
    wait([on_loop(one.close()) for one in running], timeout=_EXIT_SECONDS)


atexit.register(_end_all)
