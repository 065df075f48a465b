"""Texts as scorers compare them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014"
_PARTS: Final = "%\u066a\uff05\u2030"


class _Spaces(dict[int, int]):
    """A translation of every space separator to U+0020; learns characters as they come."""

    def __missing__(self, code: int) -> int:
        self[code] = kept = 0x20 if unicodedata.category(chr(code)) == "Zs" else code
        return kept


class _Marks(dict[int, int]):
    """A translation of all punctuation to one mark; learns characters as they come."""

    def __missing__(self, code: int) -> int:
        category = unicodedata.category(chr(code))
        self[code] = kept = ord(_MARK) if category.startswith("P") or category == "Sk" else code
        return kept


_MARK: Final = "\0"
_SPACES: Final = _Spaces()
_MARKS: Final = _Marks()
_RUN: Final = re.compile(rf"{_MARK}+")
_THOUSANDS: Final = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})++(?![\d,])")
_EXPONENT: Final = re.compile(r"\d[eE]\Z")


def alike(text: str) -> str:
    """Return *text* in Unicode's form NFC, with every space separator as U+0020.

    More than 30 combining marks in a row, which no writing has, stay as they are: to order them takes a time
    that grows with the square of their number.
    """
    return text if text.isascii() else _composed(text).translate(_SPACES)


def _composed(text: str) -> str:
    if len(text) < _LONG:
        return unicodedata.normalize("NFC", text)
    import regex  # takes 30 ms

    parts = regex.split(r"(\p{M}{31,}+)", text)
    parts[::2] = (unicodedata.normalize("NFC", part) for part in parts[::2])
    return "".join(parts)


_LONG: Final = 2_000
"""Characters that are ordered in some milliseconds, whatever they are."""


def without_punctuation(text: str) -> str:
    """Drop the punctuation of *text*, but for what numbers differ by.

    That is: what is between two digits, other than commas between thousands; a sign or a decimal point before
    a number; a percent sign behind one. If nothing would be left, *text* is returned as it is.
    """
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    marked = plain.translate(_MARKS)
    kept = _RUN.sub(lambda run: _of_number(plain, run.start(), run.end()), marked)
    kept = re.sub(r" {2,}", " ", kept)
    return kept if kept.strip() else text


def _of_number(text: str, start: int, end: int) -> str:
    """Return what is kept of the punctuation from *start* to *end*."""
    run, before, after = text[start:end], text[max(0, start - 3) : start], text[end : end + 3]
    digit_before, digit_after = before[-1:].isdigit(), after[:1].isdigit()
    if digit_before and digit_after:
        return _hyphens(run)
    if digit_after and _EXPONENT.search(before):
        return _hyphens(run)
    if digit_after or _is_currency(after):
        return "" if before[-1:].isalpha() else _hyphens(_sign(run))
    if before.rstrip(" ")[-1:].isdigit():
        return next((sign for sign in run if sign in _PARTS), "")
    return ""


def _is_currency(after: str) -> bool:
    """Whether the sign of a currency and then a number comes next."""
    return bool(after) and unicodedata.category(after[0]) == "Sc" and any(map(str.isdigit, after[1:]))


def _sign(run: str) -> str:
    """Return the sign and the decimal point at the end of some punctuation."""
    point = "." if run.endswith(".") and not run.endswith("..") else ""
    rest = run.removesuffix(point) if point else run
    return (rest[-1:] if rest[-1:] in _DASHES else "") + point if rest else point


def _hyphens(run: str) -> str:
    return "".join("-" if sign in _DASHES else sign for sign in run)
