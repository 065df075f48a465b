"""What one process has of its own: the thread whose event loop engines live on, and what a fork leaves.

A fork copies neither threads nor what a library keeps in them. A child starts anew; what it inherited is
kept, out of use, since closing it there would end connections and files that are still its parent's.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own, which ends with the process."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="runner-llm", daemon=True).start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(_noted(coroutine), self._loop)


async def _noted(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine; what it raises after its future was cancelled is not logged as lost."""
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(_look_at)
    return await coroutine


def _look_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


class Process:
    """This process, as far as engines live in it.

    Attributes:
        files: held while a SQLite file is open, so that no fork copies one that is in use.
        embedded: engine kinds that have loaded a model into this process itself.
        on_gpus: whether one of them is on GPUs.
        inherited: those that had done so in the process that this one was forked from.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.files = threading.Lock()
        self.embedded: set[str] = set()
        self.on_gpus = False
        self.inherited: set[str] = set()
        self._thread: LoopThread | None = None
        self._kept: list[object] = []

    @property
    def thread(self) -> LoopThread:
        """The thread, started when it is first needed."""
        with self.lock:
            if self._thread is None:
                self._thread = LoopThread()
            return self._thread

    def keep(self, inherited: object) -> None:
        """Keep what is another process's from being closed here."""
        self._kept.append(inherited)

    def forked(self) -> None:
        """Begin anew in a child."""
        self._kept.append(self._thread)
        self._thread = None
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.files = threading.Lock()
        self.inherited |= self.embedded
        self.embedded = set()
        self.on_gpus = False


here = Process()
os.register_at_fork(
    before=lambda: here.files.acquire(),  # noqa: PLW0108 - a child has a lock of its own
    after_in_parent=lambda: here.files.release(),  # noqa: PLW0108 - the same
    after_in_child=here.forked,
)
