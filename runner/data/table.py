"""What a file format must offer, and what all of them share."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from runner.data.packed import unpacked
from runner.errors import UserError
from runner.files import open_regular

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Iterator
    from io import BufferedReader
    from pathlib import Path

Columns: TypeAlias = dict[str, Any]
Raw = TypeVar("Raw")

BOM = b"\xef\xbb\xbf"
SNIPPET = 60
"""Most characters of a bad record that a message repeats."""


class BadRecordError(Exception):
    """Raised when a record can't be read; whoever knows its line makes it a `UserError`."""


class Table(Protocol[Raw]):
    """A file of records. A record that can't be read raises `BadRecordError` where it is decoded."""

    path: Path

    def records(self) -> Iterator[tuple[int, Raw]]:
        """Yield each record with its line number, in the file's order."""
        ...

    def offsets(self) -> array[int]:
        """Return where each record starts: in bytes, or in rows."""
        ...

    def at(self, offsets: Iterable[int]) -> Iterator[Raw]:
        """Yield the records that start there."""
        ...

    def decode(self, raw: Raw) -> Columns:
        """Return a record's columns."""
        ...

    def line_of(self, offset: int) -> int:
        """Return the number of the line that starts there."""
        ...


def open_file(path: Path) -> BufferedReader:
    """Open a dataset's file.

    Raises:
        UserError: it isn't there or can't be read; names the nearest file beside it.
    """
    try:
        return open_regular(path)
    except FileNotFoundError:
        raise UserError(f"dataset file {path} does not exist{_beside(path)}") from None
    except OSError as error:
        raise UserError(f"dataset file {path} can't be read: {error.strerror}") from None


def open_text(path: Path) -> BufferedReader:
    """Open a dataset's file of text; a packed one as a stream of what it holds, which can't seek.

    Raises:
        UserError: as `open_file`; or it is packed and can't be unpacked.
    """
    return unpacked(path, open_file(path))


def skip_bom(file: BufferedReader) -> int:
    """Pass over a byte order mark at the start; return how many bytes it has."""
    return len(file.read(len(BOM))) if file.peek(len(BOM))[: len(BOM)] == BOM else 0


def bad_record(path: Path, line: int, problem: object) -> UserError:
    """Return the error that says where a bad record stands."""
    return UserError(f"{path}:{line}: {problem}")


def line_of(path: Path, offset: int) -> int:
    """Return the number of the line that starts at *offset*."""
    line, left = 1, offset
    with open_text(path) as file:
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            line += block.count(b"\n")
            left -= len(block)
    return line


def snippet(raw: bytes) -> str:
    """Return the start of a bad record, printable."""
    text = raw[: 4 * SNIPPET].decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= SNIPPET else text[: SNIPPET - 3] + "...")


def _beside(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f" (no folder {path.parent})"
    near = get_close_matches(path.name, names, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
