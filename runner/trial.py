"""Tries before a launch whether any of a point's rows can be asked."""

from __future__ import annotations

from pathlib import Path

from runner.engines.input_rules import may_continue
from runner.errors import Fault, RenderError, UserError
from runner.jobs import DatasetFile, PointSpec
from runner.plan import PlannedPoint
from runner.questions import OpenPoint
from runner.spec.sampling import is_template
from runner.values import Scope, canonical_json


class Trial:
    """Tries points; those whose rows come to the same are tried once."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[Fault]] = {}

    def faults(self, planned: PlannedPoint) -> list[Fault]:
        """Find that not one row gives a first request; where one does, those after it are left alone."""
        experiment = planned.experiment
        declared = experiment.model_dump(mode="json", exclude_none=True)
        parts = [declared.get(name) for name in ("task", "prompt", "dataset", "scorers")]
        # Without a value that a row fills, or one that goes with its messages, sampling refuses no row.
        own = (planned.sampling, *(slot.sampling for slot in planned.prompt.slots))
        if any(may_continue(one) or any(map(is_template, one.values())) for one in own):
            parts += [planned.sampling, declared.get("engine")]
        key = canonical_json([experiment.engine.kind, list(experiment.model.omit), *parts])
        if key not in self._known:
            path = experiment.dataset.path
            spec = PointSpec(
                index=planned.point.index,
                name=planned.name,
                axes=planned.point.axes,
                declared=declared,
                sampling=planned.sampling,
                prompt=planned.prompt,
                scope=Scope(model={}, engine={}),
                dataset=DatasetFile(path, "", 0, 0),
            )
            self._known[key] = _faults(OpenPoint(spec, Path()), path)
        return self._known[key]


def _faults(point: OpenPoint, path: str) -> list[Fault]:
    first = ""
    try:
        for row in point.rows():
            (question,) = point.questions(row, [0])
            try:
                question.prepare()
            except RenderError as error:
                first = first or "; ".join((f"row {row.id}: {error}", *getattr(error, "__notes__", ())))
            else:
                return []
    except UserError:  # a row that is none: told with all others like it
        return []
    return [Fault("dataset", f"not one row of {path} can be asked", first)] if first else []
