"""Numbers of fewer bits than Python's: vectors of float32, and decimals that were stored in 16 or 32 bits."""

from __future__ import annotations

import struct

_FLOAT_BYTES = 4
_WHOLE = 1 << 24
"""Below it a whole number stays as it is: 32 bits hold each of them."""
_LEAST = {"e": (3, 2.0**-14), "f": (6, 2.0**-126)}
"""Digits of a decimal that are never lost, and the smallest number of which that is true, by format."""
_MOST_DIGITS = 9


def floats(vector: bytes) -> list[float]:
    """Return the numbers of a vector of float32, little-endian."""
    return list(struct.unpack(f"<{len(vector) // _FLOAT_BYTES}f", vector))


def shortest(number: float, form: str) -> float:
    """Return the shortest decimal that is stored as *number* in fewer bits: 0.1, not 0.10000000149011612.

    Args:
        number: what was stored.
        form: how `struct` calls the format: ``e`` has 16 bits, ``f`` 32.
    """
    if number.is_integer() and abs(number) < _WHOLE:
        return number
    pack = struct.Struct(f"<{form}").pack
    stored = pack(number)
    digits, normal = _LEAST[form]
    for count in range(digits if abs(number) >= normal else 1, _MOST_DIGITS + 1):
        try:
            if pack(short := float(f"{number:.{count}g}")) == stored:
                return short
        except OverflowError:  # rounded up beyond the largest
            continue
    return number
