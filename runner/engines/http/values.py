"""What is sent and what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENT = ("expect", "content-type")


class Headers:
    """Header fields, checked and prepared once, to be sent with many requests.

    Takes lines as ``Name: value``. Keep one object for one set of fields: a connection that has
    sent it is not told again. Neither errors nor `repr` ever show a value.
    """

    __slots__ = ("lines", "names")

    def __init__(self, fields: Sequence[str]) -> None:
        lines = []
        names = []
        for position, line in enumerate(fields, 1):
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise ValueError(f"header field {position} is not a name, a colon and a value")
            value = value.strip()
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"the value of header {name} holds a line break or NUL")
            lines.append(f"{name}: {value}" if value else f"{name};")
            names.append(name.lower())
        # "Name:" keeps libcurl from adding its own: a pause for 100-continue before large
        # bodies, and a form's content type.
        lines += [f"{name}:" for name in _UNSENT if name not in names]
        self.lines = tuple(line.encode() for line in lines)
        self.names = tuple(names)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self.names)})"


class HttpResponse(msgspec.Struct, frozen=True, gc=False):
    """A complete answer, whatever its status.

    Attributes:
        status: the HTTP status.
        body: the decoded body.
        head: the raw head; read it through `header`.
    """

    status: int
    body: bytes
    head: bytes

    def __repr__(self) -> str:
        return f"HttpResponse(status={self.status})"

    def header(self, name: str) -> str | None:
        """Value of header *name*, in whatever case; several are joined by commas; None if absent."""
        return find_header(self.head, name)


def find_header(head: bytes, name: str) -> str | None:
    """Value of *name* in the last block of *head*: earlier ones are of a proxy or of a 1xx."""
    block = _last_block(head)
    wanted = name.lower().encode()
    values = [
        value.strip().decode(errors="replace")
        for line in block.splitlines()
        for given, colon, value in [line.partition(b":")]
        if colon and given.lower() == wanted
    ]
    return ", ".join(values) if values else None


def is_whole(head: bytes) -> bool:
    """Tell whether the last block of *head* came to its blank line; lines of a trailer may follow it."""
    return head.endswith(b"\r\n\r\n") or any(end in _last_block(head) for end in (b"\n\r\n", b"\n\n"))


def _last_block(head: bytes) -> bytes:
    return head[max(head.rfind(b"\nHTTP/"), 0) :]
