"""How the faults of a sweep's points are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from runner.config import Point, RefusedPoint, axes_text, located
from runner.errors import Fault
from runner.values import Json


def placed(faults: Iterable[Fault], point: Point) -> list[Fault]:
    """Return faults of a point with where their keys were written, and with the values of its axes."""
    return [
        located(replace(fault, source=fault.source or point.source(fault.place)), [point.axes])
        for fault in faults
    ]


def together(refused: Sequence[RefusedPoint], points: int) -> list[Fault]:
    """Return the faults of a sweep of so many *points* that is refused whole, each once.

    One that not all points have names the values of the axes.
    """
    having: dict[Fault, list[Mapping[str, Json]]] = {}
    for point in refused:
        for fault in dict.fromkeys(point.faults):
            bare = replace(fault, place=fault.place.removesuffix(axes_text([point.axes])))
            having.setdefault(bare, []).append(point.axes)
    return [fault if len(where) == points else located(fault, where) for fault, where in having.items()]
