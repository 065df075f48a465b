"""The first and the last number of a text, or of a part of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from runner.scoring.numbers.canonical import canonical
from runner.scoring.numbers.quantity import Quantity
from runner.scoring.numbers.reader import Reader

_TAIL: Final = 4096
_GROWTH: Final = 8


def first_number(text: str) -> Quantity | None:
    """Return the first number in *text*."""
    return next(Reader(canonical(text)).numbers(), None)


def last_number(text: str) -> Quantity | None:
    """Return the last number in *text*, which is read from the end so that long texts take little time."""
    size = _TAIL
    while size < len(text):
        numbers = Reader(canonical(text[-size:])).numbers()
        next(numbers, None)  # it may have been cut
        if last := deque(numbers, maxlen=1):
            return last[0]
        size *= _GROWTH
    last = deque(Reader(canonical(text)).numbers(), maxlen=1)
    return last[0] if last else None


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
