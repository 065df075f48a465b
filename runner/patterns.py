"""Regular expressions that users write: checked before a launch, matched under a time limit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import process_time
from typing import TYPE_CHECKING, Final

from runner.errors import ScorerError

if TYPE_CHECKING:
    from regex import Match, Pattern

SECONDS = 2.0
"""Processor time that a pattern may use on one answer: what the `regex` package counts as well."""

_BRACE: Final = re.compile(
    r"(?:\\(?:[NpP]\{[^}]*+\}|.)|\[\^?\]?(?:\\.|[^]\\])*+\])|(\{)(?!\d*+,?\d*+\})", re.DOTALL
)
"""A brace that begins no repetition: a literal one, which the `regex` package may read as fuzzy matching."""


def compile_pattern(pattern: str, *, ignore_case: bool = False) -> Pattern[str]:
    """Compile *pattern* as Python's `re` reads it.

    Raises:
        ValueError: it is not a regular expression.
    """
    import regex

    exact = _BRACE.sub(lambda found: "\\{" if found[1] else found[0], pattern)
    try:
        return regex.compile(exact, regex.VERSION0 | (regex.IGNORECASE if ignore_case else 0))
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"invalid regular expression {pattern!r:.200}: {error}") from None


def check_pattern(pattern: str) -> str:
    """Return *pattern*; raises `ValueError` if it is not a regular expression."""
    compile_pattern(pattern)
    return pattern


def matches(pattern: Pattern[str], text: str) -> Iterator[Match[str]]:
    """Yield every match in *text*.

    Raises:
        ScorerError: the time is up.
    """
    deadline = process_time() + SECONDS
    # Without the interpreter lock, so that other threads go on.
    found = pattern.finditer(text, timeout=SECONDS, concurrent=True)
    while True:
        try:
            match = next(found, None)
        except TimeoutError:
            raise _too_slow(pattern, text) from None
        if match is None:
            return
        if process_time() > deadline:
            raise _too_slow(pattern, text)
        yield match


def _too_slow(pattern: Pattern[str], text: str) -> ScorerError:
    return ScorerError(
        f"the pattern {pattern.pattern!r:.80} took more than {SECONDS:g} s of processor time on an answer of "
        f"{len(text)} characters; write it without nested repetitions"
    )


def first_group(match: Match[str]) -> int:
    """Return the first group that took part in a match; 0, the whole match, if the pattern has no groups."""
    groups = match.re.groups
    return next((group for group in range(1, groups + 1) if match.start(group) >= 0), 1) if groups else 0
