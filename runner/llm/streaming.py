"""Hands a stream's text over from the loop that engines live on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

_AHEAD = 256
"""Texts that wait for whoever reads them; a slow reader slows the stream down."""


class Streaming:
    """One stream; its methods are to be called on the process's loop, where it is read by one task."""

    def __init__(self, texts: AsyncGenerator[str]) -> None:
        self._texts = texts
        self._queue: asyncio.Queue[str] = asyncio.Queue(_AHEAD)
        self._pump: asyncio.Task[None] | None = None

    async def next(self) -> str | None:
        """Return the next text, or None at the end; raises what the stream raised."""
        if self._pump is None:
            self._pump = asyncio.create_task(self._read())
        if not self._queue.empty():
            return self._queue.get_nowait()
        coming = asyncio.ensure_future(self._queue.get())
        try:
            await asyncio.wait({coming, self._pump}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                return coming.result()
        finally:
            coming.cancel()
        self._pump.result()
        return None

    async def close(self) -> None:
        """End the request, unless it has ended."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
            if not self._pump.cancelled():
                self._pump.exception()  # of no interest to whoever stopped reading

    async def _read(self) -> None:
        async with aclosing(
            self._texts
        ) as texts:  # what is stopped between two texts is ended by nobody else
            async for text in texts:
                await self._queue.put(text)
