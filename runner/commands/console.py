"""How every command writes: readable on a terminal, plain and unbroken in a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from runner.screen import Screen
from runner.shipped import shipped
from runner.terminal import escape_json, write
from runner.values import Json, canonical_json, count

_PIPE_WIDTH = 2000
"""Columns where nobody looks at a terminal: no line is broken or cut."""


def console() -> Console:
    """Return the console for results; text is printed as it is, without any markup, and escaped."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Screen(width=width)


def table(left: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Return an empty table: columns of text, then columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in left:
        made.add_column(name, overflow="fold")
    for name in right:
        made.add_column(name, justify="right", overflow="fold")
    return made


def print_table(out: Console, made: Table) -> None:
    """Print a table; on a terminal, cells that don't fit are folded."""
    out.print(made, soft_wrap=False)


def widest(made: Table) -> int:
    """Return how many columns of a terminal a table fills where none of its cells is folded."""
    wide = Screen(width=_PIPE_WIDTH)
    return Measurement.get(wide, wide.options, made).maximum


def cell(value: Json) -> str:
    """Return a value of a config as one would type it; nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value).decode()


def given(value: Json) -> str:
    """Return a value of a config as one would type it, null too."""
    return "null" if value is None else cell(value)


def shown(path: Path) -> str:
    """Return a path as short as it can be typed from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def named(path: Path) -> str:
    """Return a path as messages name it: from here, or as one of those that ship."""
    here = shown(path)
    if Path(here).is_absolute() and path.is_relative_to(shipped()):
        return f"shipped {path.relative_to(shipped())}"
    return here


def print_json(text: str, end: str = "\n") -> None:
    """Print JSON; what a terminal must not get is escaped as JSON does it, and what the encoding lacks."""
    text = escape_json(text)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    write(text, end)


def ago(moment: datetime) -> str:
    """Say how long ago a moment was."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{count(int(seconds // size), unit)} ago"
    return "just now"
