"""Compares numbers; apart from its settings, since what reads numbers takes 12 ms to import."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from runner.errors import RowError
from runner.patterns import compile_pattern, first_group
from runner.scoring.base import Score
from runner.scoring.matching import Take, take_match
from runner.scoring.numbers import Quantity, first_number, last_number, numbers_within, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.scoring.numeric import NumericSettings

_NUMBER: Final[dict[Take, Callable[[str], Quantity | None]]] = {"first": first_number, "last": last_number}


class Numeric:
    """Compares numbers exactly, as fractions."""

    def __init__(self, settings: NumericSettings) -> None:
        self._take = settings.take
        self._tolerance = Fraction(repr(settings.tolerance))
        self._pattern = compile_pattern(settings.pattern) if settings.pattern else None
        self._as_fraction = settings.percent == "fraction"
        # One answer may be compared with several targets.
        self._answer = lru_cache(maxsize=1)(self._given)

    def score(self, text: str, target: str) -> Score:
        """Score an answer.

        Raises:
            RowError: the target holds no number.
            ScorerError: the pattern took too long.
        """
        number = _NUMBER[self._take](target)
        if number is None:
            raise RowError(f"scorer numeric: {no_number(target)}")
        answer = self._answer(text)
        if answer is None:
            return Score(0.0)
        given, spelled = answer
        expected = number.value(percent=self._as_fraction)
        return Score(float(abs(given - expected) <= self._tolerance), spelled)

    def _given(self, text: str) -> tuple[Fraction, str] | None:
        """Return the number in an answer, and how it is written."""
        number = self._found(text)
        if number is None:
            return None
        value = number.value(percent=self._as_fraction)
        return value, written(value)

    def _found(self, text: str) -> Quantity | None:
        if self._pattern is None:
            return _NUMBER[self._take](text)
        match = take_match(self._pattern, text, self._take)
        if match is None:
            return None
        start, end = match.span(first_group(match))
        if start < 0:
            return None
        numbers = numbers_within(text, start, end)
        if self._take == "first":
            return next(numbers, None)
        last = deque(numbers, maxlen=1)
        return last[0] if last else None


def no_number(target: str) -> str | None:
    """Say what is wrong with a target that holds no number."""
    return None if first_number(target) else f"the target {target!r:.80} holds no number"
