r"""numeric: a number in the answer equals the target's.

A number is what stands in running text: ``-12``, ``1,234.50``, ``.5``, ``6.02e23``, ``-$3``; the
dot that ends a sentence is no part of it. A minus right after a digit, a letter or a closing
bracket is taken for a subtraction or a dash: ``36-85`` and ``GPT-4`` hold no negative number.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Final, Literal

from pydantic import Field

from runner.errors import RowError
from runner.scoring.base import Score, ScorerKind
from runner.scoring.matching import Take, take_match
from runner.spec import ScorerSettings

# It begins with one set of characters, which lets the search skip from digit to digit: with the sign
# or the dot of ".5" in it, it would be ten times slower. Both are looked for around what it finds.
_MAGNITUDE: Final = re.compile(
    r"[0-9] (?: [0-9]{0,2} (?: ,[0-9]{3} )+ (?![0-9]) | [0-9]* )"
    r"(?: \.[0-9]+ )? (?: [eE] [+-]? [0-9]{1,4} (?!\w) )?",
    re.VERBOSE,
)
_MINUS: Final = ("-", "\N{MINUS SIGN}")
_CLOSING: Final = ("_", ".", ")", "]", "}")
_ARITHMETIC: Final = Context(prec=100, traps=[])
_PLAIN_DIGITS: Final = 30
"""Longest number, in digits, that is written out without an exponent."""


class NumericSettings(ScorerSettings):
    """Take a number from the answer and compare it with the target's: 85 and 85.0 are the same.

    A target may hold several numbers, as GSM8K's solutions do: the one counts that `take` says, as in an
    answer. Of "between 3 and 5" that is 5 alone; a range is its middle with a `tolerance`.
    """

    kind: Literal["numeric"] = "numeric"
    """A number in the answer equals the target's."""
    take: Take = "last"
    """Which number to take where there are several, of an answer as of a target."""
    tolerance: float = Field(0.0, ge=0)
    """How far the answer may be from the target."""


class Numeric:
    """Compares numbers exactly, as decimals."""

    def __init__(self, settings: NumericSettings) -> None:
        self._take = settings.take
        self._tolerance = Decimal(repr(settings.tolerance))

    def score(self, text: str, target: str) -> Score:
        """Score an answer.

        Raises:
            RowError: the target holds no number.
        """
        expected = self._number(target)
        if expected is None:
            raise RowError(f"scorer numeric: {target_fault(target)}")
        given = self._number(text)
        if given is None:
            return Score(0.0)
        return Score(float(self._close(given, expected)), _written(given))

    def _number(self, text: str) -> Decimal | None:
        match = take_match(_MAGNITUDE, text, self._take)
        if match is None:
            return None
        return _read(match[0], text[max(0, match.start() - 4) : match.start()])

    def _close(self, given: Decimal, expected: Decimal) -> bool:
        if given == expected:
            return True
        return bool(abs(_ARITHMETIC.subtract(given, expected)) <= self._tolerance)


def target_fault(target: str) -> str | None:
    """Say what is wrong with a target that holds no number."""
    return None if _MAGNITUDE.search(target) else f"the target {target!r:.80} holds no number"


def _read(magnitude: str, before: str) -> Decimal:
    """Return the number that a magnitude is, with what stands right *before* it."""
    if before.endswith(".") and not _is_glued(before[:-1]) and not {".", ","} & set(magnitude):
        before, magnitude = before[:-1], f".{magnitude}"
    before = before.removesuffix("$").removesuffix("€").removesuffix("£")
    negative = before.endswith(_MINUS) and not _is_glued(before[:-1])
    return Decimal(("-" if negative else "") + magnitude.replace(",", ""))


def _is_glued(before: str) -> bool:
    """Whether the text goes on in what follows it, so that a dot or a minus there is no sign."""
    return before[-1:].isalnum() or before.endswith(_CLOSING)


def _written(number: Decimal) -> str:
    """Write a number so that equal ones look equal: 85.0 is 85."""
    if not number:
        return "0"
    if abs(number.adjusted()) > _PLAIN_DIGITS:
        return str(number)
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


KIND = ScorerKind(
    settings=NumericSettings,
    factory="runner.scoring.numeric:Numeric",
    summary="a number in the answer equals the target's",
    target_fault=target_fault,
)
