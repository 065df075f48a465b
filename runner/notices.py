"""Notices: what was damaged and is done without, told once on standard error."""

from __future__ import annotations

import sys

_told: set[str] = set()


def notice(text: str) -> None:
    """Print a notice on standard error, unless this command has printed the same one already."""
    if text in _told:
        return
    _told.add(text)
    if sys.stderr is not None:  # closed by whoever started this process
        print(f"note: {text}", file=sys.stderr, flush=True)


def forget_notices() -> None:
    """Let every notice be printed again, as a new command begins."""
    _told.clear()
