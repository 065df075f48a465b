"""Scores a run's stored answers with other scorers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec

from runner.cache import BATCH
from runner.commands.source import source_of
from runner.config import Composition, compose, literal
from runner.data import columns
from runner.errors import ConfigError, Fault, RowError, UserError
from runner.export import export
from runner.fitting_rows import target_column_faults
from runner.inputs import check_dataset
from runner.jobs import DatasetFile, PointSpec
from runner.outcome import PointMetrics, PointOutcome
from runner.places import Places
from runner.points import PointRecords
from runner.questions import OpenPoint
from runner.records import ERROR, OK, Record, Result
from runner.results import ErrorLine, ResultLine
from runner.runs import PUT_BACK, RunFolder, read_file
from runner.scorers import most_samples, scorer_faults
from runner.secrets import Secrets
from runner.spec import Experiment
from runner.start import jobs_of
from runner.valued import spoken
from runner.values import Json, Row

_decode = msgspec.json.Decoder(ResultLine)
_encode = msgspec.json.Encoder().encode


def rescored_points(run: RunFolder, overrides: Sequence[str]) -> list[PointSpec]:
    """Return a run's points with what *overrides* make of their scorers and targets.

    Raises:
        UserError: the overrides don't compose, or the points can't be scored like that.
    """
    jobs = jobs_of(run)
    specs = sorted((spec for job in jobs for spec in job.points), key=lambda spec: spec.index)
    for dataset in {spec.dataset for spec in specs}:
        _check_dataset(run, dataset)
    places = _places(run)
    secret_env = {name for job in jobs for name in job.secret_env}
    experiments: list[Experiment] = []
    for spec in specs:
        composed = _composed(run, spec, overrides, places)
        secrets = Secrets.not_to_be_typed(secret_env, composed.env_read)
        experiment = _changed(spec.experiment(), composed.points[0].experiment)
        secrets.refuse("\n".join(overrides), "command line")
        secrets.refuse(experiment.model_dump_json(), "resolved config")
        experiments.append(experiment)
    most = most_samples(experiments)
    faults: list[Fault] = []
    for spec, experiment in zip(specs, experiments, strict=True):
        found = scorer_faults(experiment, OpenPoint(spec, run.path).slots, most)
        faults += found or _column_faults(run, spec, experiment)
    if faults:
        raise ConfigError(faults)
    return [
        msgspec.structs.replace(spec, declared=experiment.model_dump(mode="json", exclude_none=True))
        for spec, experiment in zip(specs, experiments, strict=True)
    ]


def _places(run: RunFolder) -> Places:
    """Return the places of the file that the run was started from, where it still lies there."""
    source = source_of(run)
    return Places.of(source if source.is_file() else run.path / "experiment.yaml")


def _check_dataset(run: RunFolder, dataset: DatasetFile) -> None:
    """Refuse rows that are no longer those that were asked."""
    file = run.path / dataset.path
    if Path(dataset.path).is_absolute() and not file.is_file():
        raise UserError(f"dataset {file} is gone; it was too large to be copied into the run: {PUT_BACK}")
    check_dataset(run.path, dataset)


def _composed(run: RunFolder, spec: PointSpec, overrides: Sequence[str], places: Places) -> Composition:
    """Compose the least experiment that has the point's scorers and dataset, and what overrides them."""
    given = spec.declared
    least = {
        "name": given["name"],
        "model": {"name": given["model"]["name"]},
        "engine": {"kind": "fake"},
        "prompt": {"user": "-"},
        "dataset": {**given["dataset"], "path": str(run.path / spec.dataset.path)},
        "scorers": given.get("scorers", {}),
        "failed_rows": given.get("failed_rows", "exclude"),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.yaml"
        file.write_bytes(msgspec.json.encode(_literal(least)))  # JSON is YAML
        try:
            return compose(file, overrides, places=places)
        except ConfigError as error:
            raise ConfigError([
                _sourced(fault, file, run, least["scorers"]) for fault in error.faults
            ]) from None


def _sourced(fault: Fault, file: Path, run: RunFolder, scorers: Mapping[str, Json]) -> Fault:
    """Return a fault of the run's own keys as one that names the run, not the *file* it was composed from."""
    if not fault.source.startswith(str(file)):
        return fault
    _, _, below = fault.place.partition("scorers.")
    added = below != "" and below.split(".")[0] not in scorers
    return replace(fault, source="command line" if added else run.name)


def _changed(experiment: Experiment, composed: Experiment) -> Experiment:
    """Return the experiment with all of another that scores depend on."""
    rows = experiment.dataset.model_copy(update={"target": composed.dataset.target})
    return experiment.model_copy(
        update={"scorers": composed.scorers, "failed_rows": composed.failed_rows, "dataset": rows}
    )


def _literal(value: Json) -> Json:
    """Return *value* with every text in it so that it composes to itself."""
    if isinstance(value, dict):
        return {key: _literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return literal(value) if isinstance(value, str) else value


def _column_faults(run: RunFolder, spec: PointSpec, experiment: Experiment) -> list[Fault]:
    """Find columns that a target names and the run's rows haven't."""
    dataset = experiment.dataset.model_copy(update={"path": str(run.path / spec.dataset.path)})
    return target_column_faults(experiment, columns(dataset))


def rescore(run: RunFolder, spec: PointSpec, folder: Path) -> PointOutcome:
    """Score a point's answers into *folder*: results.jsonl and metrics.json."""
    folder.mkdir(parents=True)
    point = OpenPoint(spec, run.path)
    scratch = folder / "scratch.sqlite"
    stored = run.point(spec.name) / "cache.sqlite"
    with PointRecords(scratch) as records:
        if stored.exists():
            with PointRecords(stored) as answers:
                results = _results(point, answers.lines())
                while batch := list(islice(results, BATCH)):
                    records.add(batch, attempt=1)  # 0 would count them as served by the cache
                records.commit()
        export(folder, spec, records)
        counts = records.counts()
    scratch.unlink()
    metrics = read_file(folder / "metrics.json", PointMetrics)
    ok, wrong = counts.get(OK, 0), counts.get(ERROR, 0)
    missing = spec.expected - ok - wrong
    return PointOutcome(
        spec.name,
        spec.axes,
        spec.expected,
        ok,
        wrong,
        missing,
        served=0,
        cancelled=False,
        scores=metrics.scores,
        rows=spec.dataset.rows,
        failures=metrics.failures,
        unmatched=metrics.unmatched,
        finish=metrics.finish,
    )


def _results(point: OpenPoint, lines: Iterator[tuple[str, bytes]]) -> Iterator[Record]:
    """Yield each line scored anew; lines and rows both come in the dataset's order."""
    rows = iter(point.rows())
    row = next(rows)
    for stored, data in lines:
        line = _decode.decode(data)
        while row.id != line.id:
            row = next(rows)
        state, scored = _scored(point, row, line, stored)
        result = Result(row.id, line.sample, row.position, state, msgspec.Raw(_encode(scored)))
        yield Record(point.spec.index, (), result)


def _scored(point: OpenPoint, row: Row, line: ResultLine, state: str) -> tuple[str, ResultLine]:
    answers = [spoken(line.value)] if line.value is not None else list(line.slots.values())
    if len(answers) < len(point.slots):
        return state, msgspec.structs.replace(line, scores={})
    if line.value is None:
        answers = [line.slots[slot] for slot in point.slots]
    try:
        scores = {scorer.name: scorer.score(row, answers) for scorer in point.scorers}
    except RowError as error:
        wrong = ErrorLine(type(error).__name__, error.message)
        return ERROR, msgspec.structs.replace(line, scores={}, error=wrong)
    return OK, msgspec.structs.replace(line, scores=scores, error=None)
