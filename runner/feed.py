"""Hands questions from one that finds them to many that ask them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Feed(Generic[_T]):
    """A queue whose producer gives many items at once, and waits while there are enough.

    Taking an item that is there costs next to nothing, which `asyncio.Queue` can't say.
    """

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._items: deque[_T] = deque()
        self._closed = False
        self._filled = asyncio.Event()
        self._wanted = asyncio.Event()

    async def give(self, items: Iterable[_T]) -> None:
        """Add *items*, and return once fewer than enough are left."""
        self._items.extend(items)
        self._filled.set()
        while len(self._items) >= self._enough:
            self._wanted.clear()
            await self._wanted.wait()

    def take(self) -> _T | None:
        """Return the next item if one is there; never waits."""
        items = self._items
        if not items:
            return None
        if len(items) <= self._enough:
            self._wanted.set()
        return items.popleft()

    async def wait(self) -> bool:
        """Wait until there is an item to take; False once the feed is closed and empty."""
        while not self._items:
            if self._closed:
                return False
            self._filled.clear()
            await self._filled.wait()
        return True

    def close(self, *, discard: bool = False) -> None:
        """Say that nothing more comes; with *discard* what is left isn't handed out either."""
        self._closed = True
        if discard:
            self._items.clear()
        self._filled.set()
