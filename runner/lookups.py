"""The shared cache as a worker looks it up: in a thread, since another run may be writing to it for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from runner.cache import BUSY_SECONDS, ResponseCache
from runner.sqlite_errors import CacheBusyError

_T = TypeVar("_T")

TRY_SECONDS = 0.5
"""How long the thread waits for another writer in one go: what waits in SQLite can't be called off."""


class Lookups:
    """Looks up stored responses from an event loop, which goes on meanwhile; an async context manager.

    Without a *path* nothing is stored.

    Raises:
        UserError: where it is entered or looked up, if the cache is damaged, can't be read, or is held by
            others for too long.
    """

    def __init__(self, path: Path | None) -> None:
        self._open = partial(ResponseCache, path, wait=TRY_SECONDS)
        self._cache: ResponseCache | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache")
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._cache = await self._patiently(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if self._cache is not None:
            self._cache.close()

    async def find(self, keys: Sequence[bytes], over: Callable[[], bool]) -> dict[bytes, bytes]:
        """Return the stored responses of *keys*; none where it is *over* before another writer is done."""
        if not self._cache or not keys:
            return {}
        async with self._turn:
            return await self._patiently(self._cache.find, keys, over=over) or {}

    async def _patiently(
        self, function: Callable[..., _T], *args: object, over: Callable[[], bool] = lambda: False
    ) -> _T | None:
        """Call a function in the thread until no other writer is in its way; None once it is *over*."""
        loop = asyncio.get_running_loop()
        end = time.monotonic() + BUSY_SECONDS
        while not over():
            try:
                return await loop.run_in_executor(self._thread, function, *args)
            except CacheBusyError:
                if time.monotonic() >= end:
                    raise
        return None
