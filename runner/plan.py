"""Points to jobs: what would run, checked against what engines, prompts and scorers can do.

Pure but for reading template files; reads no rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.config import Composition, Point, RefusedPoint
from runner.effective import choice_note, effective_sampling, sampling_faults, unfilled_faults
from runner.engines.base import EngineKind
from runner.engines.fitness import engine_faults
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, Fault
from runner.prompts import PromptSource, checked_prompt, compile_prompt
from runner.refusals import placed, together
from runner.scorers import left_out, most_samples, scorer_faults
from runner.spec import Experiment, SlurmCluster
from runner.tasks import engine_start, task_faults, task_notes
from runner.values import Json, canonical_json


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """A point with everything resolved that needs no rows.

    Attributes:
        obstacles: what stops it here if it has something to ask.
    """

    point: Point
    name: str
    sampling: dict[str, Json]
    prompt: PromptSource
    notes: tuple[str, ...]
    obstacles: tuple[Fault, ...] = ()

    @property
    def experiment(self) -> Experiment:
        """The validated experiment."""
        return self.point.experiment

    @property
    def kind(self) -> EngineKind:
        """The engine's kind."""
        return engine_kinds()[self.experiment.engine.kind]


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """Points that one engine start serves."""

    name: str
    devices: int
    points: tuple[PlannedPoint, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would run.

    Attributes:
        composition: what was asked.
        jobs: in the order in which they are launched.
        points: all of them, in the experiment's order.
        refused: points that can't run, with their faults, in the same order; only with ``skip_refused``.
    """

    composition: Composition
    jobs: tuple[PlannedJob, ...]
    points: tuple[PlannedPoint, ...]
    refused: tuple[RefusedPoint, ...] = ()

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.points[0].experiment.name


def make_plan(composition: Composition, *, skip_refused: bool = False, written: bool = True) -> Plan:
    """Resolve and check every point, and share them out to jobs; calls add to what isn't *written* to files.

    What stops only points that have something to ask refuses none of those that are written: rows tell.

    Raises:
        ConfigError: with all faults, if any point is refused and *skip_refused* is false, or if
            every point is.
    """
    planned: list[PlannedPoint] = []
    refused = list(composition.refused)
    resolve = _Resolver(composition, written=written)
    for point in composition.points:
        faults, result = resolve.point(point)
        if result is None:
            refused.append(RefusedPoint(point.index, point.axes, tuple(faults)))
        else:
            planned.append(result)
    if skip_refused or not refused:
        return _plan(composition, planned, refused)
    # What else would have to be mended is told at once.
    return _plan(composition, [], refused + [stopped(one) for one in planned if one.obstacles])


def stopped(planned: PlannedPoint) -> RefusedPoint:
    """Return a point as one that its obstacles refuse."""
    return RefusedPoint(planned.point.index, planned.point.axes, planned.obstacles)


def less(plan: Plan, refused: Sequence[RefusedPoint]) -> Plan:
    """Return *plan* without the points that turned out to be refused.

    Raises:
        ConfigError: no other point is left.
    """
    gone = {point.index for point in refused}
    left = [planned for planned in plan.points if planned.point.index not in gone]
    return _plan(plan.composition, left, [*plan.refused, *refused])


def _plan(composition: Composition, planned: Sequence[PlannedPoint], refused: Sequence[RefusedPoint]) -> Plan:
    refused = sorted(refused, key=lambda point: point.index)
    if not planned:
        raise ConfigError(together(refused, len(composition.points) + len(composition.refused)))
    return Plan(composition, _jobs(planned), tuple(planned), tuple(refused))


class _Resolver:
    """Resolves points; what many points share is resolved once."""

    def __init__(self, composition: Composition, *, written: bool) -> None:
        self._places = composition.places
        self._written = written
        self._digits = len(str(max(0, len(composition.points) + len(composition.refused) - 1)))
        self._prompts: dict[str, tuple[list[Fault], PromptSource | None]] = {}
        self._most = most_samples(point.experiment for point in composition.points)

    def _model_faults(self, experiment: Experiment, kind: EngineKind) -> list[Fault]:
        """Find a folder's name that would be sent to a server; a model of another engine left it there."""
        name = experiment.model.name
        asks_server = "base_url" in kind.settings.model_fields and not Path(name).is_absolute()
        found = self._places.find(name) if asks_server else None
        if found is None or not (found / "config.json").is_file():
            return []
        problem = (
            f"{name} is a folder of weights here, and engine {kind.name} asks a server for it by that name"
        )
        hint = "name the model as the server does: model.name=..."
        if "served_model_name" in kind.settings.model_fields:
            hint += f"; or, if it serves {name}, say by which name: engine.served_model_name=..."
        return [Fault("model.name", problem, hint)]

    def point(self, point: Point) -> tuple[list[Fault], PlannedPoint | None]:
        experiment = point.experiment
        kind = engine_kinds()[experiment.engine.kind]
        prompt_faults, prompt = self._prompt(experiment)
        faults = [*prompt_faults, *engine_faults(experiment, kind), *_cluster_faults(experiment)]
        faults += _dataset_faults(experiment)
        faults += self._model_faults(experiment, kind)
        faults += sampling_faults(experiment, kind, prompt, whole=self._written)
        if self._written:
            faults += unfilled_faults(experiment, prompt.slots if prompt is not None else ())
        faults += task_faults(experiment, written=self._written)
        slots = compile_prompt(prompt, experiment.task).slots if prompt is not None else None
        faults += scorer_faults(experiment, slots, self._most)
        final = not self._written or not all(fault.asking for fault in faults)
        if prompt is None or (faults and final):
            return placed(faults, point), None
        name = f"{point.index:0{self._digits}d}" + (f"-{_slug(point.axes)}" if point.axes else "")
        sampling, notes = effective_sampling(experiment, kind, prompt.slots)
        notes = (
            *point.notes,
            *notes,
            *task_notes(experiment),
            *choice_note(experiment, prompt.slots),
            *left_out(experiment),
        )
        return [], PlannedPoint(point, name, sampling, prompt, notes, tuple(placed(faults, point)))

    def _prompt(self, experiment: Experiment) -> tuple[list[Fault], PromptSource | None]:
        # By its text: a prompt may hold maps, such as a slot's JSON Schema, and has no hash of its own.
        known = f"{experiment.task} {experiment.prompt.model_dump_json()}"
        if known not in self._prompts:
            self._prompts[known] = checked_prompt(experiment.prompt, experiment.task, self._places.templates)
        return self._prompts[known]


def _cluster_faults(experiment: Experiment) -> list[Fault]:
    cluster = experiment.cluster
    if not isinstance(cluster, SlurmCluster):
        return []
    from runner.launch.slurm import check_slurm

    return check_slurm(cluster)


def _dataset_faults(experiment: Experiment) -> list[Fault]:
    """Find the seed of a shuffle that isn't requested."""
    if not experiment.dataset.seed or experiment.dataset.shuffle:
        return []
    hint = "add dataset.shuffle=true, or leave it out"
    return [Fault("dataset.seed", "the seed of a shuffle, and dataset.shuffle is false", hint)]


def _jobs(points: Sequence[PlannedPoint]) -> tuple[PlannedJob, ...]:
    """Share points out: those with the same engine start go together, spread over max_jobs."""
    groups: dict[bytes, list[PlannedPoint]] = {}
    for planned in points:
        groups.setdefault(_signature(planned.experiment), []).append(planned)
    parts = [part for group in groups.values() for part in _spread(group)]
    digits = len(str(max(0, len(parts) - 1)))
    return tuple(
        PlannedJob(f"{index:0{digits}d}-{_model_slug(part)}", _devices(part[0]), tuple(part))
        for index, part in enumerate(parts)
    )


def _signature(experiment: Experiment) -> bytes:
    return canonical_json([
        experiment.model.model_dump(mode="json", exclude={"omit"}),
        experiment.engine.model_dump(mode="json"),
        experiment.topology.model_dump(mode="json"),
        experiment.cluster.model_dump(mode="json"),
        engine_start(experiment.task),
    ])


def _spread(group: list[PlannedPoint]) -> Iterable[list[PlannedPoint]]:
    cluster = group[0].experiment.cluster
    shared = group[0].kind.capabilities.shared
    default = len(group) if cluster.kind == "slurm" and not shared else 1
    count = min(len(group), cluster.max_jobs or default)
    return [group[start::count] for start in range(count)]


def _devices(planned: PlannedPoint) -> int:
    return planned.kind.devices(planned.experiment.engine, planned.experiment.topology)


def _model_slug(points: Sequence[PlannedPoint]) -> str:
    name = points[0].experiment.model.name.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60].strip("-.") or "model"


def _slug(axes: dict[str, Json]) -> str:
    """Name a point's folder after its values; the index before it makes it unique."""
    values = {k: v if isinstance(v, str) else canonical_json(v).decode() for k, v in axes.items()}
    text = ",".join(f"{key}={value}" for key, value in values.items())
    return re.sub(r"[^A-Za-z0-9=,._+-]+", "-", text)[:120].strip("-.,")
