"""The shared cache as calls use it: looked up and filled in a thread, many requests at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from runner import unverified
from runner.cache import BATCH, ResponseCache, store_responses
from runner.errors import UserError
from runner.llm.process import here
from runner.sqlite_errors import WITHOUT, CacheBusyError, CacheDamagedError, CacheUnusableError

T = TypeVar("T")


@dataclass(slots=True)
class _Turn:
    """What is looked up and stored in one go."""

    wanted: dict[bytes, list[asyncio.Future[bytes | None]]] = field(default_factory=dict)
    rows: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    stored: list[asyncio.Future[None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.wanted or self.rows)

    def fail(self, error: BaseException) -> None:
        """Tell everyone who waits."""
        for stored in self.stored:
            if not stored.done():
                stored.set_exception(error)
        for waiting in (one for some in self.wanted.values() for one in some):
            if not waiting.done():
                waiting.set_exception(error)


@contextmanager
def _hinting() -> Iterator[None]:
    """Say in Python's words how one does without a cache that can't be used."""
    try:
        yield
    except CacheUnusableError as error:
        told = str(error).removesuffix(WITHOUT)
        raise UserError(f"{told}\n    cache=False works without it; cache=PATH names another file") from error
    except (CacheDamagedError, CacheBusyError) as error:
        error.args = (str(error).replace(WITHOUT, "; cache=False works without it"),)
        raise


def _guarded(call: Callable[[], T]) -> T:
    with here.files, _hinting():
        return call()


class Shelf:
    """Stored responses by key. A file stays open no longer than it takes to look something up or store it.

    To be used within one event loop. Whatever waits goes together: no call waits to fill a batch.
    """

    def __init__(self, path: Path, *, replace: bool) -> None:
        """Use the cache at *path*; with *replace*, what is stored is overwritten."""
        self._path = path
        self._replace = replace
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="runner-cache")
        self._next = _Turn()
        self._turning: asyncio.Task[None] | None = None

    async def find(self, key: bytes) -> bytes | None:
        """Return a stored response.

        Raises:
            UserError: the file is damaged or can't be read.
        """
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._next.wanted.setdefault(key, []).append(future)
        self._begin()
        return await future

    async def store(self, key: bytes, request: bytes, response: bytes) -> None:
        """Store a response; it is on disk when this returns.

        Raises:
            UserError: the file is damaged or can't be written.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.rows.append((key, request, response))
        self._next.stored.append(future)
        self._begin()
        await future

    async def pending(self, key: bytes) -> bytes | None:
        """Return a response that was paid for, and whose check did not end; raises as `find` does."""
        return await self._apart(partial(unverified.pending, self._path, key))

    async def keep(self, row: tuple[bytes, bytes, bytes], *, rejected: bool) -> None:
        """Keep a response that is yet to be checked, or rejected; raises as `store` does."""
        await self._apart(partial(unverified.keep, self._path, row, rejected=rejected))

    async def passed(self, key: bytes) -> None:
        """Forget that a response, which is stored now, was yet to be checked; raises as `store` does."""
        await self._apart(partial(unverified.remove, self._path, key))

    async def _apart(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _guarded, call)

    async def close(self) -> None:
        """Finish what was begun."""
        if self._turning is not None:
            await self._turning
        self._threads.shutdown(wait=False)

    def _begin(self) -> None:
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turn())

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        while turn := self._next:
            self._next = _Turn()
            work = loop.run_in_executor(self._threads, self._work, turn)
            await asyncio.wait([work])
            if (error := work.exception()) is not None:
                turn.fail(error)
                continue
            found = work.result()
            for key, futures in turn.wanted.items():
                for waiting in futures:
                    if not waiting.done():
                        waiting.set_result(found.get(key))
            for stored in turn.stored:
                if not stored.done():
                    stored.set_result(None)

    def _work(self, turn: _Turn) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        with here.files, _hinting():
            if turn.rows:
                store_responses(self._path, turn.rows, replace=self._replace)
            keys = list(turn.wanted)
            if keys:
                with ResponseCache(self._path) as cache:
                    for start in range(0, len(keys), BATCH):
                        found |= cache.find(keys[start : start + BATCH])
        return found
