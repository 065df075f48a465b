"""Whether the rows of points are sound, and let them be asked."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from runner.bare_columns import bare_prompts, bare_targets
from runner.config import RefusedPoint
from runner.data import RowGuard, check_rows, columns, undivided
from runner.drawing import Drawing
from runner.errors import ConfigError, Fault, UserError
from runner.jobs import DatasetFile
from runner.plan import Plan, PlannedPoint, less
from runner.prompts import compile_prompt
from runner.refusals import placed, together
from runner.render import compile_template, suggestion
from runner.spec import CsvDataset, Dataset, Experiment
from runner.trial import Trial


def check_datasets(
    points: Sequence[PlannedPoint], guard: RowGuard | None = None
) -> dict[Dataset, DatasetFile]:
    """Read every dataset of some points once; return where each lies and what it is.

    A row that holds a long secret is refused, one that holds a short one reported, if there is a *guard*.

    Raises:
        UserError: a dataset can't be read as what it says it is, or a point can't be asked with the rows
            that it has; tells all that is wrong together.
    """
    files: dict[Dataset, DatasetFile] = {}
    unsound: dict[Dataset, str] = {}
    for dataset in dict.fromkeys(planned.experiment.dataset for planned in points):
        try:
            files[dataset] = _facts(dataset, guard)
        except UserError as error:
            unsound[dataset] = str(error)
    if guard:
        guard.report()
    faults = together(_refused_by_rows(points, unsound), len(points))
    if unsound:
        # What two datasets of one file have in common is told once.
        raise UserError("\n".join([*map(str, faults), *dict.fromkeys(unsound.values())]))
    if faults:
        raise ConfigError(faults)
    return files


def less_refused_by_rows(plan: Plan) -> Plan:
    """Return *plan* without the points that can't be asked with the rows that they have; it lists those.

    Raises:
        ConfigError: no other point is left.
        UserError: a dataset can't be read as what it says it is.
    """
    refused = _refused_by_rows(plan.points)
    return less(plan, refused) if refused else plan


def _refused_by_rows(points: Sequence[PlannedPoint], unsound: Container[Dataset] = ()) -> list[RefusedPoint]:
    """Find points that name columns which their rows haven't, or of which not one row can be asked.

    Args:
        points: which to look at.
        unsound: datasets of which something is told already.
    """
    trial = Trial()
    heads = {
        dataset: _columns(dataset, unsound)
        for dataset in dict.fromkeys(planned.experiment.dataset for planned in points)
    }
    refused = []
    for planned in points:
        there = heads[planned.experiment.dataset]
        if there is not None and (faults := _column_faults(planned, there) or trial.faults(planned)):
            point = planned.point
            refused.append(RefusedPoint(point.index, point.axes, tuple(placed(faults, point))))
    return refused


def _columns(dataset: Dataset, unsound: Container[Dataset]) -> Sequence[str] | None:
    """Return a dataset's columns; of one of which something is told already maybe none."""
    try:
        return columns(dataset)
    except UserError:
        if dataset not in unsound:
            raise
        return None


def _column_faults(planned: PlannedPoint, there: Sequence[str]) -> list[Fault]:
    """Find what the prompt, the sampling and targets say of columns that the first sound row contradicts."""
    experiment = planned.experiment
    missing = compile_prompt(planned.prompt, experiment.task).columns - set(there)
    drawn = Drawing(planned.sampling, ()).columns - set(there)
    faults = [_lacking("prompt", experiment.dataset, name, there) for name in sorted(missing)]
    faults += [_lacking("sampling", experiment.dataset, name, there) for name in sorted(drawn)]
    unknown = dict.fromkeys(name for name in experiment.output.columns or () if name not in there)
    faults += [_lacking("output.columns", experiment.dataset, name, there) for name in unknown]
    faults += bare_prompts(experiment, planned.prompt, there)
    return faults + target_column_faults(experiment, there)


def target_column_faults(experiment: Experiment, there: Sequence[str]) -> list[Fault]:
    """Find targets with columns that are not *there*, and those that name a column without a template."""
    faults = bare_targets(experiment, there)
    for name, scorer in experiment.scorers.items():
        own = scorer.target is not None
        place = f"scorers.{name}.target" if own else "dataset.target"
        source = scorer.target if own else experiment.dataset.target
        missing = compile_template(source or "", name=place).columns() - set(there)
        faults += [_lacking(place, experiment.dataset, column, there) for column in sorted(missing)]
    return faults


def _lacking(place: str, dataset: Dataset, column: str, there: Sequence[str]) -> Fault:
    """Return the fault of naming a column that the dataset hasn't."""
    hint = suggestion(column, there)
    if isinstance(dataset, CsvDataset):
        hint = undivided(there) or hint
    return Fault(place, f"{dataset.path} has no column {column!r}", hint)


def _facts(dataset: Dataset, guard: RowGuard | None) -> DatasetFile:
    facts = check_rows(dataset, guard)
    return DatasetFile(str(Path(dataset.path).resolve()), facts.fingerprint, facts.size, facts.rows)
