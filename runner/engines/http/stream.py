"""An answer that is read while it arrives."""

from __future__ import annotations

from asyncio import Event
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import pycurl

from runner.engines.http.errors import CUT_HEAD, HttpError
from runner.engines.http.transfer import Fault, Transfer
from runner.engines.http.values import find_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HELD_BYTES = 1024 * 1024
_BLANK = (b"\r\n", b"\n")


class StreamedTransfer(Transfer):
    """Hands on what arrives, and stops receiving while nobody takes it."""

    __slots__ = ("_held", "_news", "_paused", "_ready", "failure", "head", "lines", "over", "status")

    def __init__(self, method: str, connect_timeout: float, proxy: bool, limit: int) -> None:
        super().__init__(method, connect_timeout, proxy, limit)
        self._news = Event()
        self._ready: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self.lines: list[bytes] = []
        self.status = 0
        self.head = b""
        self.over = False
        self.failure: HttpError | None = None
        self.curl.setopt(pycurl.HEADERFUNCTION, self._receive_line)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._receive)

    def settle(self, fault: Fault | None) -> None:
        self.over = True
        if fault is None and not self.head:
            fault = CUT_HEAD
        self.failure = None if fault is None else self.error(fault)
        self._news.set()

    async def opened(self) -> None:
        """Waits for the head; an `HttpError` if none comes."""
        while not (self.head or self.over):
            await self.news()
        if not self.head:
            self.check()

    async def news(self) -> None:
        """Waits until something has arrived or the transfer is over."""
        await self._news.wait()
        self._news.clear()

    def check(self) -> None:
        """Raises what ended the transfer, if it wasn't the answer's end."""
        if self.failure is not None:
            raise self.failure

    def take(self) -> bytes | None:
        """The next chunk, if one is here."""
        if not self._ready:
            return None
        chunk = self._ready.popleft()
        self._held -= len(chunk)
        if self._paused and self._held < HELD_BYTES // 2 and not self.over:
            self._paused = False
            self.curl.pause(pycurl.PAUSE_CONT)
        return chunk

    def _receive_line(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):  # a 1xx came before: forget it
            self.lines.clear()
        self.lines.append(line)
        if line in _BLANK:
            status = int(self.lines[0].split()[1])
            if status >= HTTPStatus.OK:
                self.status, self.head = status, b"".join(self.lines)
                self._news.set()

    def _receive(self, data: bytes) -> int | None:
        if self._held >= HELD_BYTES:
            self._paused = True
            return pycurl.WRITEFUNC_PAUSE
        self._left -= len(data)
        if self._left < 0:
            return -1
        self._ready.append(data)
        self._held += len(data)
        self._news.set()
        return None


class HttpStream:
    """An answer whose head is here and whose body is still coming: iterate over its chunks.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, transfer: StreamedTransfer) -> None:
        self.status = transfer.status
        self._transfer = transfer

    def header(self, name: str) -> str | None:
        """Value of header *name*, in whatever case; several are joined by commas; None if absent."""
        return find_header(self._transfer.head, name)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks as they arrive, decoded; an `HttpError` where the answer breaks off."""
        transfer = self._transfer
        decoder = transfer.decoder(transfer.head)
        async for chunk in self._received():
            if decoder is None:
                yield chunk
                continue
            with transfer.decoding():
                for piece in decoder.feed(chunk):
                    yield piece
        if decoder is not None:
            with transfer.decoding():
                decoder.end()

    async def _received(self) -> AsyncIterator[bytes]:
        """Yield chunks as they arrive, still encoded."""
        transfer = self._transfer
        while True:
            while (chunk := transfer.take()) is not None:
                yield chunk
            if transfer.over:
                transfer.check()
                return
            await transfer.news()
