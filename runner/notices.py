"""Notices and warnings, printed once on standard error: what was damaged and is done without, say."""

from __future__ import annotations

from runner.terminal import write_error

_told: set[str] = set()


def notice(text: str) -> None:
    """Print a notice on standard error, unless this command has printed the same one already."""
    if text in _told:
        return
    _told.add(text)
    write_error(f"note: {text}")


def warn(text: str) -> None:
    """Print a warning on standard error, unless this command has printed the same one already."""
    if text not in _told:
        _told.add(text)
        write_error(f"warning: {text}")


def forget_notices() -> None:
    """Let every notice be printed again, as a new command begins."""
    _told.clear()
