"""Requests that wait together share one sending."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from runner.errors import AskError, EngineError, RowError
from runner.values import Request, Response

LINGER = 0.002
"""Seconds that the first of a batch waits for others."""

Send = Callable[[Sequence[Request]], Awaitable[list[Response]]]
_Waiting = tuple[Request, "asyncio.Future[Response]"]


class Batcher:
    """Collects requests for up to `LINGER` seconds, or until there are *most*, and sends them as one.

    Each gets its own response. A batch that is refused for what it holds is sent again in halves, so that
    one input that is too long spoils no other; what fails otherwise fails for all of its requests.
    """

    def __init__(self, send: Send, most: int) -> None:
        self._send = send
        self._most = most
        self._waiting: dict[str, list[_Waiting]] = {}
        self._sending: dict[asyncio.Task[None], Sequence[_Waiting]] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}

    async def ask(self, request: Request) -> Response:
        """Return a request's own response; raises what the sending raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Response] = loop.create_future()
        # What isn't the input must be the same; few samplings are ever in use at once.
        group = repr(request.sampling)
        waiting = self._waiting.setdefault(group, [])
        waiting.append((request, future))
        if len(waiting) >= self._most:
            self._start(group)
        elif len(waiting) == 1:
            self._due[group] = loop.call_later(LINGER, self._start, group)
        try:
            return await future
        except asyncio.CancelledError:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """End what nobody waits for any more."""
        for task, waiting in self._sending.items():
            if all(future.cancelled() for _, future in waiting):
                task.cancel()

    async def close(self) -> None:
        """End what is under way; those who wait for it get an `EngineError`."""
        for group in list(self._waiting):
            self._start(group)
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending)

    def _start(self, group: str) -> None:
        if (due := self._due.pop(group, None)) is not None:
            due.cancel()
        waiting = [one for one in self._waiting.pop(group, ()) if not one[1].done()]
        if waiting:
            task = asyncio.create_task(self._answer(waiting))
            self._sending[task] = waiting
            task.add_done_callback(self._sending.pop)
            task.add_done_callback(lambda done: _settle(done, waiting))

    async def _answer(self, waiting: Sequence[_Waiting]) -> None:
        try:
            responses = await self._send([request for request, _ in waiting])
        except RowError as error:
            if len(waiting) == 1:
                _fail(waiting, error)
                return
            middle = len(waiting) // 2
            await self._answer(waiting[:middle])
            await self._answer(waiting[middle:])
        except AskError as error:
            _fail(waiting, error)
        else:
            for (_, future), response in zip(waiting, responses, strict=True):
                if not future.done():
                    future.set_result(response)


def _settle(task: asyncio.Task[None], waiting: Sequence[_Waiting]) -> None:
    """Let nobody wait for a sending that was cancelled, or that a bug ended."""
    error = None if task.cancelled() else task.exception()
    for _, future in waiting:
        if not future.done():
            future.set_exception(error or EngineError("the engine was closed"))


def _fail(waiting: Sequence[_Waiting], error: AskError) -> None:
    """Give each its own error: whoever catches one may add to its message."""
    for _, future in waiting:
        if not future.done():
            future.set_exception(type(error)(error.message, error.status, error.code, error.retry_after))
