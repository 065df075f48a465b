"""Streams: chunks handed over from the loop that engines live on, as text or as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Self, TypeAlias

from runner.engines.chunks import Chunk
from runner.errors import ConfigError, Fault
from runner.llm.holding import on_loop, waited
from runner.values import Response

Sent: TypeAlias = Callable[[Callable[[Chunk], None]], Awaitable[Response]]
"""Sends a request, hands its chunks on, and returns the response."""


class Streaming:
    """One stream; its methods are to be called on the process's loop, where it is read by one task.

    The chunks of an answer wait for a reader without limit: a slow one, or none, holds up nobody who
    waits for the same answer, and never has a server wait.
    """

    def __init__(self, begin: Callable[[], Sent]) -> None:
        """Prepare to read; *begin* says by what the request is sent, once it is to be."""
        self._begin = begin
        self._send: Sent | None = None
        self._queue: asyncio.Queue[Chunk] = asyncio.Queue()
        self._pump: asyncio.Task[Response] | None = None
        self.response: Response | None = None

    def begin(self) -> None:
        """Have what runs now send the request; called where the stream is read."""
        self._send = self._begin()

    async def next(self) -> Chunk | None:
        """Return the next chunk, or None at the end; raises what the request raised."""
        if self._pump is None:
            self._pump = asyncio.ensure_future(self._read())
        if not self._queue.empty():
            return self._queue.get_nowait()
        coming = asyncio.ensure_future(self._queue.get())
        try:
            await asyncio.wait({coming, self._pump}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                return coming.result()
        finally:
            coming.cancel()
        self.response = self._pump.result()
        return None

    async def close(self) -> None:
        """End the request, unless it has ended."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
            if not self._pump.cancelled():
                self._pump.exception()  # of no interest to whoever stopped reading

    async def _read(self) -> Response:
        assert self._send is not None, "it has begun"
        return await self._send(self._queue.put_nowait)


class _Whole:
    """What both kinds of stream have."""

    def __init__(self, streaming: Streaming, choices: int) -> None:
        self._streaming = streaming
        self._choices = choices

    @property
    def response(self) -> Response:
        """The whole response, once the stream has ended: what `generate` returns.

        Raises:
            RuntimeError: the stream has not ended.
        """
        if (response := self._streaming.response) is None:
            raise RuntimeError("the stream has not ended: read it to its end first")
        return response


class Stream(_Whole):
    """An answer as it comes. Iterate over it for the text, over `chunks` for all that there is."""

    def __init__(self, streaming: Streaming, choices: int) -> None:
        """Prepare to read; nothing is sent before the first piece is wanted."""
        super().__init__(streaming, choices)
        self._chunks = _read(streaming)
        self._texts = _texts(self._chunks, choices)

    def chunks(self) -> Generator[Chunk, None, None]:
        """Return the chunks: of each choice its text, token ids, log probabilities, calls, finish reason."""
        return self._chunks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        return next(self._texts)

    def close(self) -> None:
        """End the request."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Whole):
    """An answer as it comes. Iterate over it for the text, over `chunks` for all that there is."""

    def __init__(self, streaming: Streaming, choices: int) -> None:
        """Prepare to read; nothing is sent before the first piece is wanted."""
        super().__init__(streaming, choices)
        self._chunks = _read_async(streaming)
        self._texts = _texts_async(self._chunks, choices)

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Return the chunks: of each choice its text, token ids, log probabilities, calls, finish reason."""
        return self._chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return await anext(self._texts)

    async def aclose(self) -> None:
        """End the request."""
        await self._chunks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _read(streaming: Streaming) -> Generator[Chunk, None, None]:
    streaming.begin()
    try:
        while (chunk := waited(on_loop(streaming.next()))) is not None:
            yield chunk
    finally:
        on_loop(streaming.close())


def _texts(chunks: Generator[Chunk, None, None], choices: int) -> Generator[str, None, None]:
    _require_one(choices)
    for chunk in chunks:
        if chunk.text:
            yield chunk.text


async def _read_async(streaming: Streaming) -> AsyncGenerator[Chunk, None]:
    streaming.begin()
    try:
        while (chunk := await asyncio.wrap_future(on_loop(streaming.next()))) is not None:
            yield chunk
    finally:
        on_loop(streaming.close())


async def _texts_async(chunks: AsyncGenerator[Chunk, None], choices: int) -> AsyncGenerator[str, None]:
    _require_one(choices)
    async for chunk in chunks:
        if chunk.text:
            yield chunk.text


def _require_one(choices: int) -> None:
    if choices != 1:
        problem = f"a stream of text is one choice, and n is {choices}"
        raise ConfigError([Fault("n", problem, "read its .chunks(), each of which has its index")])
