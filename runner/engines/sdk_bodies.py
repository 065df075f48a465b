"""Limits the response bodies that providers' SDKs read, over httpx2 or httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from runner.engines.decoding import ACCEPTED, BodyDecoder, TooLargeError, UndecodableError, too_large
from runner.errors import ConnectionFailedError, ResponseTooLargeError


def limited_bodies(stream: type[Any], limit: int) -> dict[str, Any]:
    """Return arguments of an async client that limit every body it reads, decoded, to *limit* bytes.

    A larger body raises `ResponseTooLargeError`, one that can't be decoded `ConnectionFailedError`.

    Args:
        stream: `AsyncByteStream` of the client's package, which checks for its own.
        limit: `engine.max_response_bytes`.
    """
    limited: Any = type("LimitedStream", (_LimitedStream, stream), {})

    async def limit_body(response: Any) -> None:
        where = f"{response.url.scheme}://{response.url.netloc.decode()}{response.url.path}"
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise ResponseTooLargeError(f"{where}: {too_large(limit)}")
        # Without the header, the client takes what we decode as it is.
        encodings = response.headers.pop("content-encoding", None)
        response.stream = limited(response.stream, where, encodings, limit)

    return {"event_hooks": {"response": [limit_body]}, "headers": {"accept-encoding": ACCEPTED}}


def raised_within(error: BaseException) -> ResponseTooLargeError | ConnectionFailedError | None:
    """Return what a limited body raised, where an SDK wrapped it in an *error* of its own."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ResponseTooLargeError | ConnectionFailedError):
        inner = inner.__cause__ or inner.__context__
    return inner


class _LimitedStream:
    """A body that is decoded and counted while it is read."""

    def __init__(self, body: Any, where: str, encodings: str | None, limit: int) -> None:
        self._body = body
        self._where = where
        self._encodings = encodings
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            decoder = BodyDecoder(self._encodings, self._limit)
            async for chunk in self._body:
                for piece in decoder.feed(chunk):
                    yield piece
            decoder.end()
        except TooLargeError as error:
            raise ResponseTooLargeError(f"{self._where}: {error}") from None
        except UndecodableError as error:
            raise ConnectionFailedError(f"{self._where}: {error}") from None

    async def aclose(self) -> None:
        """Close the connection's own stream."""
        await self._body.aclose()
