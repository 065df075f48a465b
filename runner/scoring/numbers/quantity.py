"""What was read: a number in its parts, which are put together only where it is used."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Final, TypeAlias

_EXACT: Final = Context(prec=100_000, Emax=MAX_EMAX, Emin=MIN_EMIN)
_PLAIN_DIGITS: Final = 30
"""Longest number, in digits, that is written out without an exponent."""


@dataclass(frozen=True, slots=True)
class Term:
    """A literal times a power: ``mantissa * base ** exponent``."""

    mantissa: Decimal
    base: Decimal = Decimal(1)
    exponent: int = 0

    @property
    def plain(self) -> bool:
        """Whether it was written without a power."""
        return self.exponent == 0 and self.base == 1

    @property
    def is_integer(self) -> bool:
        """Whether it was written with digits only."""
        return self.plain and self.mantissa.as_tuple().exponent == 0

    @property
    def is_zero(self) -> bool:
        return not self.mantissa or (not self.base and self.exponent > 0)

    def value(self) -> Fraction:
        value: Fraction = Fraction(self.mantissa) * Fraction(self.base) ** self.exponent
        return value


ZERO: Final = Term(Decimal(0))
ONE: Final = Term(Decimal(1))


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written: ``whole + numerator / denominator``, with sign and scale.

    Attributes:
        start: where it begins, its sign included.
        end: where it ends.
        behind: where the percent sign behind it ends, if there is one.
        scale: what a word such as "million" behind it stands for.
        parts: 100 where a percent sign follows, 1000 for a per mille sign, else 1.
    """

    whole: Term
    numerator: Term | Quantity = ZERO
    denominator: Term | Quantity = ONE
    start: int = 0
    end: int = 0
    behind: int = 0
    negative: bool = False
    scale: int = 1
    parts: int = 1

    @property
    def is_zero(self) -> bool:
        return self.whole.is_zero and self.numerator.is_zero

    def value(self, *, percent: bool = False) -> Fraction:
        """Return the number; *percent* makes 50 % a half instead of 50."""
        amount = self.whole.value() + self.numerator.value() / self.denominator.value()
        amount *= Fraction(self.scale, self.parts if percent else 1)
        return -amount if self.negative else amount


Operand: TypeAlias = Term | Quantity


def is_proper(numerator: Operand, denominator: Operand) -> bool:
    """Whether a fraction is smaller than 1 and made of digits only, as that of a mixed number is."""
    if not isinstance(numerator, Term) or not isinstance(denominator, Term):
        return False
    both = numerator.is_integer and denominator.is_integer
    return both and Decimal(0) < numerator.mantissa < denominator.mantissa


def written(number: Fraction) -> str:
    """Write a number so that equal ones look equal: 85.0 is 85, 3/4 is 0.75, 1/3 is 1/3."""
    top, bottom = Decimal(number.numerator), number.denominator
    places = _places(bottom)
    if places is None:
        return f"{top}/{Decimal(bottom)}"
    decimal = _EXACT.normalize(_EXACT.divide(top, Decimal(bottom)))
    return str(decimal) if abs(decimal.adjusted()) > _PLAIN_DIGITS else f"{decimal:f}"


def _places(denominator: int) -> int | None:
    """Return how many decimal places a denominator makes at most; None where they never end."""
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    return max(twos, fives) if rest == 1 else None
