"""Picking one match where a pattern has several."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import re

Take: TypeAlias = Literal["first", "last"]


def take_match(pattern: re.Pattern[str], text: str, take: Take) -> re.Match[str] | None:
    """Return the pattern's first or last match in *text*."""
    if take == "first":
        return pattern.search(text)
    last = deque(pattern.finditer(text), maxlen=1)
    return last[0] if last else None
