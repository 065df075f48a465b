"""Server-sent events, as chat APIs stream them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

import msgspec

from runner.engines.provider_errors import UNREADABLE, answered_error
from runner.engines.provider_wire import malformed

DONE = b"[DONE]"
"""The data of the event that ends a stream."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the data of each event, up to and with `DONE`, where that comes.

    Raises:
        AskError: an event, or what came instead of events, tells of an error.
        MalformedResponseError: no event came.
    """
    rest, other, found = b"", b"", False
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = _data(line)
            if data is not None:
                found = True
                yield _sound(data)
                if data == DONE:
                    return
            elif not found and not line.startswith(b":"):
                other += line + b"\n"
    last = _data(rest)
    if last is not None and _is_whole(last):
        yield _sound(last)
    elif not found:
        raise answered_error(other + rest) or malformed("it has no events", other + rest)


def _data(line: bytes) -> bytes | None:
    name, _, data = line.partition(b":")
    return data.strip() if name == b"data" else None


def _sound(data: bytes) -> bytes:
    if error := answered_error(data):
        raise error
    return data


def _is_whole(data: bytes) -> bool:
    """Tell an event whose line has no end from one that was cut off."""
    try:
        msgspec.json.decode(data)
    except UNREADABLE:
        return data == DONE
    return True
