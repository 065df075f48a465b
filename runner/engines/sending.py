"""How one request is sent whose caller wants more than the response: chunks, or a time-out of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.engines.base import Engine
from runner.engines.chunks import Chunk, completed
from runner.errors import RequestTimeoutError
from runner.values import Request, Response

T = TypeVar("T")


@dataclass(slots=True)
class Sending:
    """One request of a caller's.

    Attributes:
        hear: is given each chunk as it comes; None has the answer come at once.
        seconds: most time from the first sending to the response, retries included; None is no limit.
        heard: a chunk was handed on, so that the request can't be sent again.
    """

    hear: Callable[[Chunk], None] | None = None
    seconds: float | None = None
    heard: bool = False
    _limit: asyncio.Timeout | None = None

    async def bounded(self, response: Coroutine[Any, Any, T], *, begun: bool = False) -> T:
        """Await what sends the request, or, where it has *begun*, what waits for another's response.

        Raises:
            RequestTimeoutError: it took longer than `seconds`.
        """
        if self.seconds is None:
            return await response
        limit: asyncio.Timeout | None = None
        try:
            async with asyncio.timeout(self.seconds if begun else None) as limit:
                self._limit = limit
                return await response
        except TimeoutError:
            if limit is None or not limit.expired():
                raise
            raise RequestTimeoutError(f"no answer within timeout={self.seconds:g} seconds") from None

    async def ask(self, engine: Engine, request: Request) -> Response:
        """Send the request once; the time counts from the first."""
        limit = self._limit
        if limit is not None and self.seconds is not None and limit.when() is None:
            limit.reschedule(asyncio.get_running_loop().time() + self.seconds)
        if self.hear is None:
            return await engine.generate(request)
        async with aclosing(completed(engine.stream(request), request)) as items:
            async for item in items:
                if isinstance(item, Response):
                    return item
                self.heard = True
                self.hear(item)
        raise AssertionError("an engine's stream ends with the response")
