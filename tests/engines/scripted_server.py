"""A real HTTP server on a free port that answers what a test tells it to, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer: *body* as JSON unless it is bytes.

    After half of it, *cut* closes the connection and *reset* resets it; *hang* sends none.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False
    hang: bool = False

    def wire(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        return head + body[: len(body) // 2] if self.cut or self.reset else head + body


@dataclass
class Sent:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class ScriptedServer:
    """Gives its replies in order, the last one again and again."""

    def __init__(self, replies: tuple[Reply, ...]) -> None:
        self._replies = list(replies)
        self._over = asyncio.Event()
        self._news = asyncio.Event()
        self.sent: list[Sent] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def received(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        while len(self.sent) < count:
            self._news.clear()
            await self._news.wait()

    def end(self) -> None:
        """Let the replies that hang end."""
        self._over.set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.sent.append(Sent(first.split()[1], headers, json.loads(body or b"{}")))
        self._news.set()
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if reply.hang:
            await self._over.wait()
            return False
        writer.write(reply.wire())
        await writer.drain()
        if reply.reset:
            plain: socket.socket = writer.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return not (reply.cut or reply.reset)


@asynccontextmanager
async def serving(*replies: Reply) -> AsyncIterator[ScriptedServer]:
    """Run a server that gives *replies*."""
    scripted = ScriptedServer(replies)
    server = await asyncio.start_server(scripted.talk, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        scripted.end()


def chat(text: str | None = "Hello", **choice: Any) -> dict[str, Any]:
    """Return the body of a chat answer with one choice."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}
