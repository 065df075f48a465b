"""What composing gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runner.config.document import Key, Trail, written_at
from runner.config.layers import split
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
        trail: where the parts of its config were written.
    """

    index: int
    axes: dict[str, Json]
    experiment: Experiment
    notes: tuple[str, ...]
    trail: Trail = field(default=(), repr=False, compare=False)

    def source(self, place: str) -> str:
        """Return ``file:line`` of the value at a dotted *place*, or empty where nobody wrote it."""
        return written_at(self.trail, self._key(place))

    def _key(self, place: str) -> Key:
        """Return where in the file a dotted place is; messages call a slot by its name."""
        key = split(place)
        slots = {
            turn.generate.as_: str(index)
            for index, turn in enumerate(self.experiment.prompt.turns or ())
            if turn.generate is not None
        }
        if key[:2] == ("prompt", "turns") and key[2:3] and key[2] in slots:
            return (*key[:2], slots[str(key[2])], "generate", *key[3:])
        return key


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
        verbose: whether `hydra.verbose` asks for every note in full.
    """

    file: Path
    overrides: tuple[str, ...]
    places: Places
    points: tuple[Point, ...]
    sources: tuple[Path, ...]
    env_read: tuple[str, ...]
    refused: tuple[RefusedPoint, ...] = ()
    verbose: bool = False
