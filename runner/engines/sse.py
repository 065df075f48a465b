"""Server-sent events, as chat APIs stream them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass, field

import msgspec

from runner.engines.in_band import answered_error, implied_error, named_error, stated_error
from runner.engines.lenient import strict_json
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed

DONE = b"[DONE]"
"""The data of the event that ends a stream."""
_BOM = b"\xef\xbb\xbf"
_EMPTY = frozenset({b"", b"null"})
"""Data of events that only keep a connection open."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield the data of each event, up to and with `DONE`, where that comes.

    Lines may end in CR, LF or CRLF, and an event may have several lines of data.

    Raises:
        AskError: an event, or what came instead of events, tells of an error.
        MalformedResponseError: no event came.
    """
    event, lines = _Event(), _Lines()
    async for chunk in chunks:
        for line in lines.add(chunk):
            if line:
                event.add(line)
                continue
            for data in event.take():
                yield data
                if data == DONE:
                    return
    for data in event.last(lines.rest()):
        yield data


@dataclass(slots=True)
class _Lines:
    """Cuts chunks into lines."""

    _rest: list[bytes] = field(default_factory=list)
    _first: bool = True
    _after_cr: bool = False

    def add(self, chunk: bytes) -> list[bytes]:
        """Add a chunk, and return the lines that end in it, each without its end."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk, self._after_cr = chunk[1:], False  # the other half of a CRLF
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            self._rest.append(chunk)
            return []
        *lines, rest = chunk.split(b"\n")
        if self._rest:
            lines[0] = b"".join(self._rest) + lines[0]
        if self._first:
            lines[0], self._first = lines[0].removeprefix(_BOM), False
        self._rest = [rest] if rest else []
        return lines

    def rest(self) -> bytes:
        """Return the last line, which has no end."""
        last = b"".join(self._rest)
        return last.removeprefix(_BOM) if self._first else last


@dataclass(slots=True)
class _Event:
    """The event whose lines are being read.

    Attributes:
        found: whether any event has come.
        other: lines that belong to none, for the message where nothing else comes.
    """

    found: bool = False
    other: bytearray = field(default_factory=bytearray)
    _data: list[bytes] = field(default_factory=list)
    _is_error: bool = False

    def add(self, line: bytes) -> None:
        """Add a line.

        Raises:
            AskError: it is a field ``error``, as llama.cpp sends it in place of an event.
        """
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(b"")
        elif name == b"event":
            self._is_error = value.strip().lower() == b"error"
        elif name == b"error":
            raise named_error(value.strip())
        elif name and not self.found:
            self.other += line + b"\n"

    def last(self, line: bytes) -> list[bytes]:
        """Return the data of the last event, or a body that came without events; raises as `events` does."""
        if line:
            self.add(line)
        found = self.take(ended=False)
        return found if self.found else _unstreamed(bytes(self.other))

    def take(self, *, ended: bool = True) -> list[bytes]:
        """Return the data of the event, and begin the next.

        Args:
            ended: False at the end of the stream, where an event that was cut off is dropped.

        Raises:
            AskError: the event tells of an error.
        """
        lines, is_error = self._data, self._is_error
        if not lines and not is_error:
            return []
        self._data, self._is_error, self.found = [], False, True
        if is_error:
            raise named_error(b"\n".join(lines).strip())
        found = [strict_json(data) for data in _whole(lines)]
        whole = [data for data in found if data not in _EMPTY and (ended or _is_json(data))]
        for data in whole:
            if error := answered_error(data):
                raise error
        return whole


def _unstreamed(body: bytes) -> list[bytes]:
    """Return what came in place of events as one: an answer in one piece, from a server that doesn't stream.

    Raises:
        AskError: it is none.
    """
    body = strict_json(body.strip())
    try:
        data = msgspec.json.decode(body)
    except UNREADABLE:
        raise malformed("it has no events", body) from None
    if error := stated_error(data):
        raise error
    if not isinstance(data, dict) or not data.get("choices"):
        raise implied_error(data) or malformed("it has no events", body)
    return [body, DONE]


def _whole(lines: list[bytes]) -> list[bytes]:
    """Return the data of an event; some servers leave out the blank line between two of one line each."""
    if len(lines) == 1:
        return [lines[0].strip()]
    data = b"\n".join(lines).strip()
    if not _is_json(data):
        apart = [line for one in lines if (line := one.strip())]
        if all(map(_is_json, apart)):
            return apart
    return [data]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except UNREADABLE:
        return data == DONE
    return True
