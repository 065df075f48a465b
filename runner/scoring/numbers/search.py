"""The first and the last number of a text, or of a part of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from runner.scoring.numbers.canonical import canonical
from runner.scoring.numbers.quantity import Quantity
from runner.scoring.numbers.reader import Reader

_SIZE: Final = 512
"""Characters that are read at first."""
_GROWTH: Final = 8
_MARGIN: Final = 256
"""Characters behind a number that may still belong to it."""


def first_number(text: str) -> Quantity | None:
    """Return the first number in *text*, None where none is within the first places that look like one."""
    size = _SIZE
    while True:
        part = canonical(text[:size])
        reader = Reader(part)
        first = next(reader.numbers(), None)
        whole = size >= len(text) or (first is not None and first.behind + _MARGIN < len(part))
        if whole or (first is None and reader.gave_up):
            return first
        size *= _GROWTH


def last_number(text: str) -> Quantity | None:
    """Return the last number in *text*, None where none is within the last places that look like one."""
    size = _SIZE
    while True:
        start = _start(text, size)
        reader = Reader(canonical(text[start:]))
        numbers = reader.numbers()
        if start and text[start - 1] != "\n":
            next(numbers, None)  # it may have been cut
        last = deque(numbers, maxlen=1)
        if reader.gave_up:
            return None
        if last or not start:
            return last[0] if last else None
        size *= _GROWTH


def _start(text: str, size: int) -> int:
    """Return where the last *size* characters begin, or the line that they begin in."""
    cut = len(text) - size
    return max(0, text.rfind("\n", max(0, cut - size), cut) + 1 or cut)


def numbers_within(text: str, start: int, end: int) -> Iterator[Quantity]:
    """Yield the numbers between two positions; one that reaches beyond them is none.

    What is around them is read as well, as far as their lines go: ``3`` of ``3.5`` is no number.
    """
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    before, inside = canonical(text[first:start]), canonical(text[start:end])
    after = canonical(text[end:] if last < 0 else text[end:last])
    for number in Reader(before + inside + after).numbers():
        if len(before) <= number.start and number.end <= len(before) + len(inside):
            yield number
