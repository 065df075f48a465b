"""Texts behind labels; of long ones the beginning and the end."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from runner.terminal import escape
from runner.values import count

_LINES = 12
"""Lines of a terminal that a text may fill."""
_WIDTH = 100
"""Columns of a line, at most."""


def excerpt(text: str, width: int, *, full: bool) -> str:
    """Return a text, less the middle of one that fills more than a few lines; in *full* the text itself."""
    columns = min(width, _WIDTH)
    if full or (len(text) <= columns * _LINES and text.count("\n") < _LINES):
        return text
    head = _fitting(text.splitlines(keepends=True), columns, _LINES * 2 // 3)
    tail = _fitting([line[::-1] for line in reversed(text.splitlines(keepends=True))], columns, _LINES // 3)
    left = len(text) - len(head) - len(tail)
    if left <= 0:
        return text
    return f"{head.rstrip()} [... {count(left, 'character')} left out: --full ...] {tail[::-1].lstrip()}"


def _fitting(lines: list[str], columns: int, most: int) -> str:
    """Return the beginning of some lines that fills at most so many lines of a terminal."""
    taken, room = "", most
    for line in lines:
        taken += line[: room * columns]
        room -= -(-max(len(line), 1) // columns)
        if room <= 0:
            break
    return taken


class Printer:
    """Prints labelled texts, shortened unless all is wanted."""

    def __init__(self, out: Console, *, full: bool) -> None:
        self._out = out
        self.full = full

    def text(self, label: str, text: str, style: str = "") -> None:
        """Print a text behind its label; further lines of it are indented."""
        self.whole(label, excerpt(text, self._out.width, full=self.full), style)

    def whole(self, label: str, text: str, style: str = "") -> None:
        """Print a text as `text` does, however long it is."""
        indent = "\n" + " " * (len(label) + 4)
        shown = escape(text).replace("\n", indent)  # rich would drop what rings or moves the cursor back
        self._out.print(Text.assemble((f"  {escape(label)}: ", "dim"), (shown, style)))
