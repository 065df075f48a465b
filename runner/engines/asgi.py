"""Asks a web application that lives in this process: requests over ASGI, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

from runner.engines.http import Headers, HttpReset, HttpResponse, HttpTimeout

Event: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[
    [dict[str, Any], Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]
]
"""An application as ASGI 3 has it: called with a scope, and with what receives and sends events."""


class AsgiClient:
    """Has the face of `HttpClient`, for one application in the event loop that it is entered in.

    Of an address only the path counts. A request that is cancelled, or late, is told to the application as
    a client that went away, so that it can end its own work.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[str] | Headers,
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 - as `HttpClient` has it
    ) -> HttpResponse:
        """The answer to one request; takes what `HttpClient.request` takes."""
        stream = self.stream(method, url, headers=headers, body=body, timeout=timeout)
        async with stream as answer:
            whole = b"".join([chunk async for chunk in answer])
        return HttpResponse(answer.status, whole, answer.head)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[str] | Headers,
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109
    ) -> AsyncIterator[AsgiStream]:
        """An answer to be read while it comes; *timeout* is for the whole of it."""
        until = asyncio.get_running_loop().time() + timeout
        exchange = _Exchange(body)
        fields = headers if isinstance(headers, Headers) else Headers(headers)
        scope = _scope(method, url, fields.lines)
        task = asyncio.ensure_future(self._app(scope, exchange.receive, exchange.send))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(exchange.over)
        try:
            start = await exchange.next(url, until, timeout)
            yield AsgiStream(start["status"], _head(start), exchange, (url, until, timeout))
        finally:
            exchange.gone.set()


class AsgiStream:
    """An answer whose head is here and whose body is still coming: iterate over its chunks."""

    def __init__(self, status: int, head: bytes, exchange: _Exchange, wait: tuple[str, float, float]) -> None:
        self.status = status
        self.head = head
        self._exchange = exchange
        self._wait = wait

    def header(self, name: str) -> str | None:
        """Value of header *name*, in whatever case; None if absent."""
        return HttpResponse(self.status, b"", self.head).header(name)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            event = await self._exchange.next(*self._wait)
            more = event.get("more_body", False)
            if chunk := event.get("body", b""):
                yield chunk


@dataclass(slots=True)
class _Exchange:
    """One request's events, in both directions."""

    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _told: bool = False
    _sent: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    _failure: BaseException | None = None

    async def receive(self) -> Event:
        if not self._told:
            self._told = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        self._sent.put_nowait(event)

    def over(self, task: asyncio.Future[None]) -> None:
        """Take note that the application has ended, in whatever way."""
        self._failure = None if task.cancelled() else task.exception()
        self._sent.put_nowait(None)

    async def next(self, url: str, until: float, seconds: float) -> Event:
        """Return the next event; an `HttpError` where none comes."""
        try:
            async with asyncio.timeout_at(until):
                event = await self._sent.get()
        except TimeoutError:
            raise HttpTimeout(url, f"no answer within {seconds:g} s") from None
        if event is None:
            raise HttpReset(url, f"the engine broke off: {self._failure!r}") from self._failure
        return event


def _scope(method: str, url: str, lines: Sequence[bytes]) -> dict[str, Any]:
    parts = urlsplit(url)
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (x.partition(b":") for x in lines)]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", parts.netloc.encode()), *(pair for pair in pairs if pair[1])],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": {},
    }


def _head(start: Event) -> bytes:
    return b"\r\n".join([b"HTTP/1.1", *(name + b": " + value for name, value in start.get("headers", ()))])
