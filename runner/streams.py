"""The standard streams of the command line, any of which may be closed, full, without a reader, or ASCII."""

from __future__ import annotations

import codecs
import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from select import select
from typing import TYPE_CHECKING, TextIO

from runner.errors import UserError
from runner.terminal import escaping

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PRINTABLE = "runner.printable"
"""Error handler of the output streams: what their encoding lacks is written in ASCII."""

_ASCII = {"±": "+-", "…": "...", "—": "-", "\N{EN DASH}": "-", "·": "*", "→": "->", "≤": "<=", "≥": ">="}
_BYTES = range(0xDC80, 0xDD00)
"""How Python keeps the bytes of file names that are not UTF-8."""


def printable(text: str) -> str:
    r"""Return *text* with each byte that is not UTF-8 as ``\xNN``."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def require_utf8(name: str, what: str) -> None:
    """Refuse a *name* that could not be written into the files of a run, which are UTF-8.

    Raises:
        UserError: names *what* it is.
    """
    if (shown := printable(name)) != name:
        encoding = sys.getfilesystemencoding()
        hint = "" if encoding == "utf-8" else " (in a locale without UTF-8, set PYTHONUTF8=1)"
        raise UserError(f"{what} is not valid {encoding.upper()}: {shown}{hint}")


def _in_ascii(character: str) -> str:
    number = ord(character)
    if number in _BYTES:
        return f"\\x{number - 0xDC00:02x}"
    return _ASCII.get(character) or character.encode("ascii", "backslashreplace").decode()


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


codecs.register_error(PRINTABLE, _handle)


class Output(FileIO):
    """Standard output or error; once it can't be written, the rest is dropped.

    Attributes:
        failure: why it can't be written; None while it can, and where its reader has left.
    """

    def __init__(self, fd: int, name: str, *, raises: bool) -> None:
        """Take over a descriptor.

        Args:
            fd: the descriptor, which stays open.
            name: what errors call it.
            raises: raise the first error, where a command is to end with its reader.
        """
        super().__init__(fd, "w", closefd=False)
        self.failure: OSError | None = None
        self._called = name
        self._raises = raises

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return self._written(data)
        except OSError as error:
            _open_null(self.fileno())  # takes what is still buffered, and what others write there
            if self._raises:
                raise type(error)(error.errno, error.strerror, self._called) from None
            if not isinstance(error, BrokenPipeError):
                self.failure = OSError(error.errno, error.strerror, self._called)
            return memoryview(data).nbytes

    def _written(self, data: ReadableBuffer) -> int:
        while (written := super().write(data)) is None:
            select([], [self], [])  # whoever shares it made it non-blocking
        return written


class Streams:
    """The process's output streams, taken over; they escape what is printed."""

    def __init__(self, *, end_with_reader: bool) -> None:
        """Open missing streams on /dev/null, and take over the others.

        Args:
            end_with_reader: whether writing what nobody can read raises an error.
        """
        open_missing()
        self._raw = [
            Output(1, "standard output", raises=end_with_reader),
            Output(2, "standard error", raises=False),
        ]
        sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
        sys.stdout = escaping(_wrapped(self._raw[0], sys.stdout))
        sys.stderr = escaping(_wrapped(self._raw[1], sys.stderr))

    def finish(self) -> list[OSError]:
        """Write what is buffered; return why which stream could not be written."""
        sys.stdout.flush()
        sys.stderr.flush()
        return [raw.failure for raw in self._raw if raw.failure is not None]


def open_missing() -> None:
    """Open each standard descriptor that is closed on /dev/null.

    The next file to be opened would get it otherwise, and whatever is printed would go into that file.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            _open_null(fd)


def _open_null(fd: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != fd:
        os.dup2(null, fd)
        os.close(null)
    os.set_inheritable(fd, True)  # noqa: FBT003 - its signature


def _wrapped(raw: Output, stream: TextIO | None) -> TextIO:
    """Return the text stream over *raw* that takes the place of *stream*."""
    old = stream if isinstance(stream, TextIOWrapper) else None
    return TextIOWrapper(
        BufferedWriter(raw),
        encoding=old.encoding if old else "utf-8",
        errors=PRINTABLE,
        line_buffering=old.line_buffering or old.write_through if old else False,
    )
