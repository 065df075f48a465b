"""What composing gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.errors import Fault
from runner.places import Places
from runner.spec import Experiment
from runner.values import Json


@dataclass(frozen=True, slots=True)
class Point:
    """One point of an experiment, validated.

    Attributes:
        index: its place in the sweep, from 0; the first axis is the slowest.
        axes: swept key -> its value here; empty for a single point.
        experiment: an instance of `runner.schema.experiment_type()`; paths are absolute.
        notes: what was replaced by what, in words.
    """

    index: int
    axes: dict[str, Json]
    experiment: Experiment
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefusedPoint:
    """One point that can't run, and why.

    Attributes:
        secret_env: environment variables that it names for what is secret, where it is no experiment.
    """

    index: int
    axes: dict[str, Json]
    faults: tuple[Fault, ...]
    secret_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Composition:
    """A file with its overrides, composed.

    Attributes:
        sources: every YAML file that was read.
        env_read: names of the environment variables that the YAML read.
        refused: points that are no experiment; only with ``skip_refused``.
    """

    file: Path
    overrides: tuple[str, ...]
    places: Places
    points: tuple[Point, ...]
    sources: tuple[Path, ...]
    env_read: tuple[str, ...]
    refused: tuple[RefusedPoint, ...] = ()
