"""Picking one match where a pattern has several."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

from runner.patterns import matches

if TYPE_CHECKING:
    from regex import Match, Pattern

Take: TypeAlias = Literal["first", "last"]


def take_match(pattern: Pattern[str], text: str, take: Take) -> Match[str] | None:
    """Return the pattern's first or last match in *text*.

    Raises:
        ScorerError: the pattern took too long.
    """
    found = matches(pattern, text)
    if take == "first":
        return next(found, None)
    last = deque(found, maxlen=1)
    return last[0] if last else None
