r"""What reaches a terminal: text in which nothing is hidden and nothing is obeyed.

Whatever comes from a server, a dataset, a file name or a log may hold characters that a terminal obeys, or
that hide or reorder what is around them. All that is printed passes through `escape`, which shows them as
``\x1b`` or ``\u202e``. Colour and the cursor's movements are the runner's own alone: `runner.screen` writes
them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"
"""The flag of a region, which is spelled in characters that are invisible elsewhere."""
_JOINS = "[\u200c\u200d]"
_VARIES = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_UNSHOWN = re.compile(
    f"({_FLAG})|["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"
    # One of these joins or varies what it follows, and one of each may stand together.
    f"]|{_JOINS}{{2,}}|{_VARIES}{{2,}}|(?:{_JOINS}|{_VARIES}){{3,}}"
)
_BYTES = range(0xDC80, 0xDD00)
"""How Python keeps the bytes of file names that are not UTF-8."""


def escape(text: str) -> str:
    r"""Return *text* as a terminal can show it; line ends and tabs stay.

    Escaped are control characters, what changes the direction of text, line and paragraph separators, lone
    surrogates, and characters that are invisible wherever they are. Accents, emoji and what joins them stay.
    """
    return text if text.isascii() and text.isprintable() else _UNSHOWN.sub(_escaped, text)


def escape_json(text: str) -> str:
    """Return JSON in which the same characters are escaped as JSON does it."""
    return _UNSHOWN.sub(lambda found: found[1] or json.dumps(found[0])[1:-1], text)


def _escaped(found: re.Match[str]) -> str:
    return found[1] or "".join(map(_number, found[0]))


def _number(character: str) -> str:
    number = ord(character)
    if number in _BYTES:
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x100:  # noqa: PLR2004 - what \x can say
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004 - the same


class Escaping:
    """A text stream that escapes whatever is printed to it; all else is the stream's own.

    Attributes:
        raw: the stream itself, for what `runner.screen` has escaped and coloured.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write *text*, escaped."""
        self.raw.write(escape(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write *lines*, escaped."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def escaping(stream: TextIO) -> TextIO:
    """Return *stream* as one that escapes."""
    return stream if isinstance(stream, Escaping) else cast("TextIO", Escaping(stream))


@contextmanager
def escaped_output() -> Iterator[None]:
    """Have standard output and error escape what is printed, whoever prints it, for as long as this lasts."""
    before = sys.stdout, sys.stderr
    within = [stream and escaping(stream) for stream in before]
    sys.stdout, sys.stderr = within
    try:
        yield
    finally:
        if sys.stdout is within[0]:
            sys.stdout = before[0]
        if sys.stderr is within[1]:
            sys.stderr = before[1]


def write(text: str, end: str = "\n") -> None:
    """Print *text* on standard output, escaped."""
    print(escape(text), end=end, flush=True)


def write_error(text: str) -> None:
    """Print *text* on standard error, escaped, if there is one."""
    if sys.stderr is not None:  # closed by whoever started this process
        print(escape(text), file=sys.stderr, flush=True)
