"""Gathers the points of a sweep, and the faults of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.config.document import Trail
from runner.config.layers import split
from runner.config.point import Point, RefusedPoint
from runner.config.values import brief, names_variables
from runner.errors import ConfigError, Fault
from runner.spec import Experiment
from runner.values import Json, canonical_json


class Verdict:
    """All points, or all faults."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._refused: list[RefusedPoint] = []
        self._faults: dict[Fault, list[dict[str, Json]]] = {}
        self._seen: dict[bytes, int] = {}
        self._count = 0

    def add(
        self,
        axes: dict[str, Json],
        experiment: Experiment | None,
        notes: Sequence[str],
        faults: Sequence[Fault],
        secret_env: Sequence[str] = (),
        trail: Trail = (),
    ) -> None:
        """Take in one point: an experiment, with where it was written; or faults."""
        index = self._count
        self._count += 1
        for fault in dict.fromkeys(faults):
            self._faults.setdefault(fault, []).append(axes)
        if experiment is None:
            self._refused.append(RefusedPoint(index, axes, tuple(dict.fromkeys(faults)), tuple(secret_env)))
            return
        twin = self._twin(experiment, index)
        if twin is not None:
            notes = (*notes, f"point {index} is the same as point {twin}")
        self._points.append(Point(index, axes, experiment, tuple(notes), tuple(trail)))

    def _twin(self, experiment: Experiment, index: int) -> int | None:
        key = canonical_json(experiment.model_dump(mode="json"))
        first = self._seen.setdefault(key, index)
        return None if first == index else first

    def points(self) -> tuple[Point, ...]:
        """Return the points.

        Raises:
            ConfigError: any point has a fault; one that not all points have names the values of the axes.
        """
        if self._faults:
            raise ConfigError([
                fault if len(where) == self._count else located(fault, where)
                for fault, where in self._faults.items()
            ])
        return tuple(self._points)

    def parted(self) -> tuple[tuple[Point, ...], tuple[RefusedPoint, ...]]:
        """Return the points, and those that are refused.

        Raises:
            ConfigError: there is no other; or what was given as a variable's name may be a key, which a run
                of the other points would write down with its overrides.
        """
        if not self._points or any(names_variables(split(fault.place)) for fault in self._faults):
            return self.points(), ()
        refused = tuple(
            replace(point, faults=tuple(located(fault, [point.axes]) for fault in point.faults))
            for point in self._refused
        )
        return tuple(self._points), refused


def located(fault: Fault, where: Sequence[Mapping[str, Json]]) -> Fault:
    """Return a fault that only some points have with the axes of the first of them behind its place."""
    return replace(fault, place=fault.place + axes_text(where))


def axes_text(where: Sequence[Mapping[str, Json]]) -> str:
    """Return what stands behind the place of a fault that the points with these axes have."""
    values = ", ".join(f"{key}={brief(value, split(key))}" for key, value in where[0].items())
    more = f" and {len(where) - 1} more" if len(where) > 1 else ""
    return f" [{values}{more}]" if values else ""
