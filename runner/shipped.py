"""Finds what ships beside the code: conf/, experiments/, templates/, data/, models/tiny/."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped() -> Path:
    """Return the folder that holds the shipped folders, in a wheel and in an editable install alike."""
    packed = _PACKAGE / "_shipped"
    return packed if packed.is_dir() else _PACKAGE.parent
