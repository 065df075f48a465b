"""How much one experiment may hold: what is beyond is no experiment that anybody means."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from runner.errors import ConfigError, Fault

MOST_VALUES = 100_000
"""Most keys and items in one file, aliases expanded."""

MOST_TEXT = 20_000_000
"""Most characters in one file, aliases expanded."""

MOST_DEPTH = 100
"""Most maps and lists within each other."""

MOST_REFERENCES = 10_000
"""Most ``${KEY}`` in one point, those included that the values of other keys hold."""

MOST_POINTS = 100_000
"""Most points of one experiment."""

_MOST_SHOWN = 10**15
"""The largest number that a message writes out."""


def too_many(label: str, at: Any) -> Fault:
    problem = f"more than {MOST_VALUES:,} values, aliases (*) expanded: no file may hold more"
    return Fault(label, problem, "", f"{label}:{at.start_mark.line + 1}")


def too_long(label: str, at: Any) -> Fault:
    problem = f"more than {MOST_TEXT:,} characters, aliases (*) expanded: no file may hold more"
    return Fault(label, problem, "", f"{label}:{at.start_mark.line + 1}")


def too_deep(label: str, at: Any) -> Fault:
    problem = f"more than {MOST_DEPTH} lists and maps within each other: no file may nest deeper"
    return Fault(label, problem, "", f"{label}:{at.start_mark.line + 1}")


def refuse_vast(lengths: Mapping[str, int], source: str = "") -> None:
    """Refuse a sweep of more points than any that is meant, by how many values each axis has.

    Raises:
        ConfigError: names the limit.
    """
    points = prod(lengths.values())
    if points > MOST_POINTS:
        shown = " x ".join(f"{key} ({_counted(count)})" for key, count in lengths.items())
        problem = f"{_counted(points)} points, of {shown}: an experiment has at most {MOST_POINTS:,}"
        raise ConfigError([Fault("sweep", problem, "", source)])


def _counted(number: int) -> str:
    return f"{number:,}" if number <= _MOST_SHOWN else f"more than {_MOST_SHOWN:,}"
