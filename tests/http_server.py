"""A real HTTP/1.1 server for tests: one behaviour a path, in a thread, on a free port of 127.0.0.1.

    with HttpServer({"/v1/chat/completions": in_turn(answers(status=429), chats("Paris"))}) as server:
        ... server.url("/v1/chat/completions") ...
    assert server.connections == 1

A behaviour is an async function of an `Exchange`; what it leaves undone (closing, a body's end)
stays undone. Paths without one are answered 404.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

if TYPE_CHECKING:
    import ssl

WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and the means to answer it, or not to."""

    def __init__(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, body: bytes = b"", status: int = 200, headers: tuple[str, ...] = ()) -> None:
        await self.send(head(status, f"content-length: {len(body)}", *headers) + body)

    async def chunk(self, data: bytes) -> None:
        """Sends one chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def stall(self) -> None:
        """Does nothing until the client has gone."""
        await self._reader.read()

    def close(self) -> None:
        """Ends the connection in good order, which nothing in the answer announced."""
        self._writer.close()

    def reset(self) -> None:
        """Ends the connection with a reset, unless the client has ended it."""
        if self._writer.is_closing():
            return
        plain: socket.socket = self._writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


def head(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *headers, "", ""]).encode()


def answers(body: bytes = b"", status: int = 200, *headers: str) -> Behaviour:
    """The same answer to every request."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(body, status, headers)

    return behave


def chats(text: str) -> Behaviour:
    """A chat completion that says *text*, in the words of OpenAI's API."""

    async def behave(exchange: Exchange) -> None:
        message = {"role": "assistant", "content": text}
        completion = {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": 0,
            "model": exchange.request.json().get("model"),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
        await exchange.answer(json.dumps(completion).encode(), headers=("content-type: application/json",))

    return behave


def chunks(*pieces: bytes) -> Behaviour:
    """A chunked answer, a chunk for each piece."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(head(200, "transfer-encoding: chunked"))
        for piece in (*pieces, b""):
            await exchange.chunk(piece)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first behaviour for the first request, and so on; the last one stays."""
    remaining = list(behaviours)

    async def behave(exchange: Exchange) -> None:
        await (remaining.pop(0) if len(remaining) > 1 else remaining[0])(exchange)

    return behave


def then_close(behaviour: Behaviour) -> Behaviour:
    """*behaviour*, after which the connection is closed although nothing announced it."""

    async def behave(exchange: Exchange) -> None:
        await behaviour(exchange)
        exchange.close()

    return behave


async def stalls(exchange: Exchange) -> None:
    """No answer at all."""
    await exchange.stall()


async def resets(exchange: Exchange) -> None:
    """A reset instead of an answer."""
    exchange.reset()


class HttpServer:
    """Serves *paths* while entered.

    Attributes:
        port: where it listens.
        received: every request, in the order in which they were complete.
        connections: how many were accepted.
        open: how many are open now.
        busy: the most requests that were in progress at once.
    """

    def __init__(self, paths: Mapping[str, Behaviour], *, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.open = 0
        self.busy = 0
        self.port = 0
        self._in_progress = 0
        self._paths = paths
        self._tls = tls
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._conversations: set[asyncio.Task[None]] = set()
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def wait_until(self, state: Callable[[HttpServer], bool]) -> None:
        """Returns once *state* holds of this server; an `AssertionError` if it does not come."""
        with self._changed:
            assert self._changed.wait_for(lambda: state(self), WAIT_SECONDS), "the awaited state did not come"

    async def until(self, state: Callable[[HttpServer], bool]) -> None:
        """`wait_until` for coroutines."""
        await asyncio.to_thread(self.wait_until, state)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS), "the server did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        for _ in range(20):  # closing between a connection and its transport would leak its socket
            await asyncio.sleep(0)
        server.close()
        while self._conversations:
            for conversation in self._conversations:
                conversation.cancel()
            await asyncio.wait(self._conversations)
        for writer in self._writers:  # one that was closed stays open while it has something to send
            writer.transport.abort()
        await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.ensure_future(self._converse(reader, writer))
        conversation.add_done_callback(lambda _: self._end(conversation, writer))
        self._conversations.add(conversation)
        self._writers.add(writer)
        self._count(connections=1, open=1)

    def _end(self, conversation: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._conversations.discard(conversation)
        if conversation.cancelled():
            writer.transport.abort()
        writer.close()
        self._count(open=-1)

    def _count(self, **changes: int) -> None:
        with self._changed:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)
            self.busy = max(self.busy, self._in_progress)
            self._changed.notify_all()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                request = await _receive(reader)
                self.received.append(request)
                self._count(_in_progress=1)
                try:
                    path = request.target.partition("?")[0]
                    await self._paths.get(path, answers(status=404))(Exchange(request, reader, writer))
                finally:
                    self._count(_in_progress=-1)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone


async def _receive(reader: asyncio.StreamReader) -> Received:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    method, target, _ = lines[0].split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-1])
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)


class Proxy(HttpServer):
    """A forwarding HTTP proxy, with tunnels for CONNECT."""

    def __init__(self) -> None:
        super().__init__({})

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _receive(reader)
        self.received.append(request)
        place = request.target.removeprefix("http://").partition("/")
        host, _, port = place[0].partition(":")
        upstream_reader, upstream = await asyncio.open_connection(host, int(port))
        if request.method == "CONNECT":
            writer.write(head(200, "via: tests"))
        else:
            lines = [f"{request.method} /{place[2]} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in request.headers.items()]
            upstream.write("\r\n".join([*lines, "", ""]).encode() + request.body)
        try:
            await asyncio.gather(_pump(reader, upstream), _pump(upstream_reader, writer))
        finally:
            upstream.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
