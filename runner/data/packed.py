"""Text files packed with gzip or Zstandard, unpacked in a stream, under a limit on what they grow to."""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import zlib
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any

from runner.errors import UserError, one_line
from runner.extras import pip_install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

SUFFIXES = {".gz": "gzip", ".zst": "zstd"}
"""Endings of a packed file's name, after that of its format."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""How a packed file begins, and no UTF-8 text does."""

_UNREAD = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x04\x22\x4d\x18": "lz4",
}
"""How a file begins that something else packed; bzip2's is text, and counts with its first block alone."""
_BZIP2_BLOCK = b"1AY&SY"

FREE_BYTES = 100_000_000
"""Unpacked size that no limit applies to."""
MOST_RATIO = 250
"""Most unpacked bytes for each packed one beyond that: text seldom has 30, a bomb 1,000."""

_BLOCK = 1 << 15
_BEGIN = 10
"""Bytes that tell what a file is."""


def unpacked(path: Path, file: BufferedReader) -> BufferedReader:
    """Return a stream of the file's text: *file* itself where its content isn't packed.

    Its content decides, not its name. The stream of a packed file can't seek; closing it closes *file*.

    Raises:
        UserError: the name says that it is packed and its content doesn't, it is packed in another form, or
            what unpacks it isn't there.
            Reading raises it where the file is damaged or grows too large.
    """
    begin = file.peek(_BEGIN)[:_BEGIN]
    if (other := _unread(begin)) is not None:
        file.close()
        raise UserError(
            f"dataset file {path} is packed with {other}, which is not supported; "
            "unpack it, or pack it with gzip or zstd"
        )
    form = next((form for magic, form in _MAGIC.items() if begin.startswith(magic)), None)
    if form is None:
        if (named := SUFFIXES.get(path.suffix)) is not None:
            file.close()
            what = "it is empty" if not begin else f"its content is not {named}"
            raise UserError(f"dataset file {path} is named as {named}, but {what}")
        return file
    return io.BufferedReader(_Unpacked(path, file, form), _BLOCK)


def _unread(begin: bytes) -> str | None:
    """Return the name of another form that a file which begins so is packed in."""
    form = next((form for magic, form in _UNREAD.items() if begin.startswith(magic)), None)
    return None if form == "bzip2" and begin[4:] != _BZIP2_BLOCK else form


@contextmanager
def seekable(file: BufferedReader) -> Iterator[IO[bytes]]:
    """Provide *file* with random access: a packed one as an unpacked copy, deleted at the end."""
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile(prefix="llm-runner-") as copy:
        shutil.copyfileobj(file, copy, _BLOCK)
        yield copy


class _Unpacked(io.RawIOBase):
    """The content of a packed file."""

    def __init__(self, path: Path, file: BufferedReader, form: str) -> None:
        self._path = path
        self._packed = file
        self._form = form
        self._read = 0
        self._lines = 0
        self._source: Any = gzip.GzipFile(fileobj=file) if form == "gzip" else _zstd(path, file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            block = self._source.read(len(view))
        except _damage() as error:
            problem = one_line(str(error)) or type(error).__name__
            raise UserError(
                f"dataset file {self._path}: the {self._form} data is damaged or incomplete, "
                f"somewhere after line {self._lines:,} ({problem})"
            ) from None
        view[: len(block)] = block
        self._read += len(block)
        self._lines += block.count(b"\n")
        if self._read > FREE_BYTES and self._read > MOST_RATIO * self._packed.tell():
            raise UserError(
                f"dataset file {self._path}: the {self._form} data unpacks to more than {MOST_RATIO} times "
                f"its size, after line {self._lines:,}; if that is intended, unpack the file first"
            )
        return len(block)

    def close(self) -> None:
        if not self.closed:
            with closing(self._packed), closing(self._source):
                super().close()


def _zstd(path: Path, file: BufferedReader) -> Any:
    """Return a stream of what Zstandard packed: by Python's own module, from 3.14 on, else by Arrow."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        pass
    else:
        return zstd.ZstdFile(file)
    try:
        import pyarrow as pa
    except ImportError:
        file.close()
        install = pip_install("parquet")
        raise UserError(
            f"dataset file {path} is zstd, which needs Python 3.14 or pyarrow: {install}"
        ) from None
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")


def _damage() -> tuple[type[Exception], ...]:
    """Return what the unpackers raise on damaged data."""
    known = (EOFError, OSError, ValueError, zlib.error)
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return known
    return (*known, zstd.ZstdError)
