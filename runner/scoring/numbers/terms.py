"""Reading the terms of a number: literals, and powers of them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, TypeAlias

from runner.scoring.numbers import syntax
from runner.scoring.numbers.quantity import ONE, Term

_LARGEST_BASE: Final = 36
_MOST_DIGITS: Final = 1000
"""Longest literal, and longest power of another base than ten, in digits, that is read."""
_TEN: Final = Decimal(10)

_Term: TypeAlias = tuple[Term | None, int]


def read_term(text: str, start: int, *, point: bool = False) -> _Term:
    """Read a literal with its exponent, or a power; *point* is a decimal point before it.

    Return it, None if it is none, and the position behind it.
    """
    literal, end = _literal(text, start, point=point)
    if literal is None:
        return None, end
    if exponent := syntax.EXPONENT.match(text, end):
        return Term(Decimal(f"{literal}e{_ascii(exponent[1])}")), exponent.end()
    if power := syntax.POWER.match(text, end):
        return _power(ONE.mantissa, literal, _exponent(power)), power.end()
    if times := syntax.TIMES_TEN.match(text, end):
        power = syntax.POWER.match(text, times.end())
        if power is None:
            return None, times.end()
        return _power(literal, _TEN, _exponent(power)), power.end()
    return Term(literal), end


def _literal(text: str, start: int, *, point: bool) -> tuple[Decimal | None, int]:
    """Read digits with what separates their thousands, and with decimals."""
    found = syntax.CHAIN.match(text, start)
    assert found is not None
    chain, end = found[0], found.end()
    if not point and (spaced := syntax.SPACED.match(text, start)) and end < spaced.end():
        last = syntax.CHAIN.match(text, spaced.end() - 3)
        assert last is not None
        chain, end = spaced[0][:-3].replace(" ", "") + last[0], last.end()
        if not last[0].replace(".", "", 1).isdigit():
            return None, end
    if point:
        return (Decimal(f".{chain}") if chain.isdigit() and len(chain) < _MOST_DIGITS else None), end
    if syntax.LITERAL.fullmatch(chain) is None:
        based = syntax.BASED.fullmatch(chain)
        return _in_base(based) if based else None, end
    if len(chain) > _MOST_DIGITS:
        return None, end
    if based := syntax.BASED.match(text, start):
        return _in_base(based), based.end()
    return Decimal("".join(sign for sign in chain if sign.isdigit() or sign == ".")), end


def _exponent(power: re.Match[str]) -> int:
    return int(_ascii(next(filter(None, power.groups()))))


def _ascii(number: str) -> str:
    return number.replace("\u2212", "-")


def _in_base(number: re.Match[str]) -> Decimal | None:
    """Return the value of ``52_8``; None where it has digits that its base hasn't."""
    digits, base = number[1], int(number[2] or number[3])
    return Decimal(int(digits, base)) if max(1, *map(int, digits)) < base <= _LARGEST_BASE else None


def _power(factor: Decimal, base: Decimal, exponent: int) -> Term | None:
    """Return a power; None where it is none, or too long to be written."""
    if not base and exponent <= 0:
        return None
    if base != _TEN and len(base.as_tuple().digits) * abs(exponent) > _MOST_DIGITS:
        return None
    return Term(factor, base, exponent)
