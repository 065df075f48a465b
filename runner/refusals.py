"""How the faults of a sweep's points are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from runner.config import RefusedPoint
from runner.errors import Fault
from runner.values import Json, canonical_json


def placed(faults: Iterable[Fault], axes: Mapping[str, Json]) -> list[Fault]:
    """Return faults of a point with the values of its axes."""
    return [replace(fault, place=_before(axes) + fault.place) for fault in faults]


def together(refused: Sequence[RefusedPoint]) -> list[Fault]:
    """Return the faults of a sweep that is refused whole; what all points share is told once, of none."""
    bare = [(fault, _bare(fault, point)) for point in refused for fault in dict.fromkeys(point.faults)]
    shared = Counter(own for _, own in bare)
    told = (own if shared[own] == len(refused) else fault for fault, own in bare)
    return list(dict.fromkeys(told))


def value_text(value: Json) -> str:
    """Return a swept value as names and messages have it."""
    return value if isinstance(value, str) else canonical_json(value).decode()


def _bare(fault: Fault, point: RefusedPoint) -> Fault:
    return replace(fault, place=fault.place.removeprefix(_before(point.axes)))


def _before(axes: Mapping[str, Json]) -> str:
    values = ", ".join(f"{key}={value_text(value)}" for key, value in axes.items())
    return f"[{values}] " if values else ""
