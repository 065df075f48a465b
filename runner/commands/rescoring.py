"""Scores a run's stored answers with other scorers."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import batched
from pathlib import Path

import msgspec

from runner import errors
from runner.cache import BATCH
from runner.config import compose
from runner.data import columns
from runner.errors import ConfigError, Fault, RowError, UserError
from runner.fold import export
from runner.jobs import STEP, PointSpec
from runner.outcome import PointOutcome
from runner.places import Places
from runner.plan import scorer_faults
from runner.questions import ErrorLine, OpenPoint, ResultLine
from runner.records import ERROR, MISSING, OK, PointRecords, Result
from runner.render import compile_template, suggestion
from runner.runs import RunFolder
from runner.spec import Experiment
from runner.start import jobs_of
from runner.values import Json, Row

_decode = msgspec.json.Decoder(ResultLine)
_encode = msgspec.json.Encoder().encode


def rescored_points(run: RunFolder, overrides: Sequence[str]) -> list[PointSpec]:
    """Return a run's points with what *overrides* make of their scorers and targets.

    Raises:
        UserError: the overrides don't compose, or the points can't be scored like that.
    """
    specs = sorted((spec for job in jobs_of(run) for spec in job.points), key=lambda spec: spec.index)
    places = _places(run)
    points, faults = [], list[Fault]()
    for spec in specs:
        _check_dataset(run, spec)
        experiment = _changed(run, spec, overrides, places)
        found = scorer_faults(experiment, OpenPoint(spec, run.path).slots)
        faults += found or _column_faults(run, spec, experiment)
        declared = experiment.model_dump(mode="json", exclude_none=True)
        points.append(msgspec.structs.replace(spec, declared=declared))
    if faults:
        raise ConfigError(faults)
    return points


def _places(run: RunFolder) -> Places:
    """Return the places of the file that the run was started from, where it still lies there."""
    source = Path(msgspec.json.decode((run.path / "provenance.json").read_bytes())["sources"][0])
    return Places.of(source if source.is_file() else run.path / "experiment.yaml")


def _check_dataset(run: RunFolder, spec: PointSpec) -> None:
    """Refuse rows that are no longer those that were asked."""
    file = run.path / spec.dataset.path
    if not file.is_file():
        raise UserError(f"dataset {file} is gone; it was too large to be copied into the run")
    if Path(spec.dataset.path).is_absolute():
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != spec.dataset.sha256:
                raise UserError(f"dataset {file} has changed since {run.name} was started")


def _changed(run: RunFolder, spec: PointSpec, overrides: Sequence[str], places: Places) -> Experiment:
    """Return the experiment with the scorers and the target that *overrides* come to."""
    given = spec.declared
    dataset = {**given["dataset"], "path": str(run.path / spec.dataset.path)}
    least = {
        "name": given["name"],
        "model": {"name": given["model"]["name"]},
        "engine": {"kind": "fake"},
        "prompt": {"user": "-"},
        "dataset": dataset,
        "scorers": given.get("scorers", {}),
    }
    # JSON is YAML; what looks like an interpolation was one already, or was meant as it stands.
    text = msgspec.json.encode(least).decode().replace("${", "\\\\${")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{given['name']}.yaml"
        file.write_text(text)
        composed = compose(file, overrides, places=places).points[0].experiment
    experiment = spec.experiment()
    rows = experiment.dataset.model_copy(update={"target": composed.dataset.target})
    return experiment.model_copy(update={"scorers": composed.scorers, "dataset": rows})
