"""Decodes response bodies in small steps, so that none takes more memory than it may.

Every HTTP path reads its bodies through a `BodyDecoder`: libcurl and httpx would decode a chunk as a whole,
and a chunk of a few kilobytes can hold gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

DEFAULT_MAX_BYTES = 1_000_000_000
"""Default of `engine.max_response_bytes`."""

ACCEPTED = "gzip, deflate"
"""What requests say in Accept-Encoding."""

MAX_RATIO = 500
"""Decoded bytes per byte received. Deflate's own maximum is 1032, which only one byte repeated for megabytes
comes near; the most repetitive responses (equal events, vectors of zeros) were measured at 450."""

RATIO_FROM_BYTES = 16 * 1024 * 1024
"""Decoded size from which the ratio counts: a short response may well be one repeated character."""

_STEP = 256 * 1024
_MAX_ENCODINGS = 5
_GZIP = 16 + zlib.MAX_WBITS
_NAMES = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
_HEADER = 2
_BLOCK = 16 * 1024
_TOO_LARGE = (
    "the response is larger than engine.max_response_bytes ({limit:,} bytes); raise it if that is right"
)


class TooLargeError(Exception):
    """Raised when a body exceeds its limit, or an encoding expands it as no text is."""


class UndecodableError(Exception):
    """Raised when a body is not in the encoding that its header names."""


def too_large(limit: int) -> str:
    """Return the message for a body of more than *limit* bytes."""
    return _TOO_LARGE.format(limit=limit)


class BodyDecoder:
    """Decodes one body as it arrives, and counts it."""

    def __init__(self, encodings: str | None, limit: int) -> None:
        """Prepare for one body.

        Args:
            encodings: value of the header Content-Encoding, if there is one.
            limit: most bytes of the decoded body.

        Raises:
            UndecodableError: an encoding is not one of those that requests accept.
        """
        self._stages = [_Inflater(wbits) for wbits in reversed(_parse(encodings))]
        self._limit = limit
        self._received = 0
        self._decoded = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* decodes to, in pieces of at most 256 KiB where it is encoded.

        Raises:
            TooLargeError: the body is too large, decoded or not.
            UndecodableError: it is not in its encoding.
        """
        self._received += len(data)
        if self._stages:
            yield from self._through(data, 0)
        else:
            self._count(data)
            yield data

    def end(self) -> None:
        """Check that an encoded body is complete.

        Raises:
            UndecodableError: it is not.
        """
        if self._received and any(stage.is_partial for stage in self._stages):
            raise UndecodableError("the response ended within its compressed body")

    def decode(self, chunks: Iterable[bytes]) -> bytes:
        """Return what the chunks of a whole body decode to; raises as `feed` and `end` do."""
        decoded = b"".join(piece for chunk in chunks for piece in self.feed(chunk))
        self.end()
        return decoded

    def _through(self, data: bytes, stage: int) -> Iterator[bytes]:
        if stage == len(self._stages):
            yield data
            return
        for piece in self._stages[stage].feed(data):
            self._count(piece)
            yield from self._through(piece, stage + 1)

    def _count(self, piece: bytes) -> None:
        # The output of every stage counts: an inner one may expand to gigabytes that an outer one drops.
        self._decoded += len(piece)
        if self._decoded > self._limit:
            raise TooLargeError(too_large(self._limit))
        if self._decoded > RATIO_FROM_BYTES and self._decoded > self._received * MAX_RATIO:
            raise TooLargeError(
                f"the response decompresses to more than {MAX_RATIO} times its size "
                f"({self._decoded:,} bytes from {self._received:,}), which no text does"
            )


def _parse(encodings: str | None) -> list[int]:
    """Return zlib's window bits for each of the encodings, in the order in which they were applied."""
    names = [name.strip().lower() for name in (encodings or "").split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    for name in names:
        if name not in _NAMES:
            raise UndecodableError(f"the response has Content-Encoding {name[:40]!r}; accepted: {ACCEPTED}")
    if len(names) > _MAX_ENCODINGS:
        raise UndecodableError(f"the response is encoded {len(names)} times; at most {_MAX_ENCODINGS}")
    return [_NAMES[name] for name in names]


class _Inflater:
    """Decompresses gzip or deflate in steps."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._start = b""
        self._stream: zlib._Decompress | None = None

    @property
    def is_partial(self) -> bool:
        """Whether more must come."""
        return self._stream is None or not self._stream.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* decompresses to; raises `UndecodableError` where it can't be."""
        try:
            # In small blocks: with each step zlib copies what it has not read of one.
            for start in range(0, len(data), _BLOCK):
                yield from self._inflate(data[start : start + _BLOCK])
        except zlib.error as error:
            raise UndecodableError(f"the response can't be decompressed: {error}") from None

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        if stream is None:
            data = self._start = self._start + data
            if len(data) < _HEADER:
                return
            stream = self._stream = zlib.decompressobj(self._format(data))
        while data or not stream.eof:
            if stream.eof:
                raise UndecodableError("the response goes on after the end of its compressed body")
            piece = stream.decompress(data, _STEP)
            if piece:
                yield piece
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            if not data and len(piece) < _STEP:
                return

    def _format(self, start: bytes) -> int:
        """Return zlib's window bits: "deflate" often comes without the header that the standard requires."""
        has_header = start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:_HEADER]) % 31 == 0
        return -self._wbits if self._wbits == zlib.MAX_WBITS and not has_header else self._wbits
