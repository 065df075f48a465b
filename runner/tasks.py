"""What a task needs beside an engine that can do it: checked before launch."""

from __future__ import annotations

from importlib.util import find_spec

from runner.engines.remote import EmbeddingSettings
from runner.errors import Fault
from runner.extras import pip_install
from runner.scoring.registry import scorer_kinds
from runner.spec import Experiment
from runner.values import VALUE_TASKS

_GENERATING = frozenset({"chat", "complete", "loglikelihood"})
"""Tasks that a server started to generate does."""


def engine_start(task: str) -> str:
    """Return what an engine has to be started for; points that differ in it can't share a start."""
    return "generate" if task in _GENERATING else task


def task_faults(experiment: Experiment, *, written: bool = True) -> list[Fault]:
    """Find what a task doesn't go with, and what it needs that isn't installed; *written* are its results."""
    task = experiment.task
    faults = []
    if experiment.samples > 1 and task in VALUE_TASKS:
        problem = f"task {task} draws nothing: every sample would be the same"
        faults.append(Fault("samples", problem, "leave it out"))
    if "dtype" in experiment.output.model_fields_set and task != "embed":
        problem = f"task {task} gives no vectors"
        faults.append(Fault("output.dtype", problem, "task embed does; leave it out"))
    parquet = [("task", "task embed writes Parquet, which")] if task == "embed" and written else []
    if experiment.dataset.kind == "parquet":
        parquet.append(("dataset.kind", "reading Parquet"))
    if find_spec("pyarrow") is None:
        faults += [
            Fault(place, f"{what} needs pyarrow, which is not installed", pip_install("parquet"))
            for place, what in parquet
        ]
    return faults


def task_notes(experiment: Experiment) -> tuple[str, ...]:
    """Return notes on settings of the engine that the task leaves unused: options are shared by tasks."""
    engine, task = experiment.engine, experiment.task
    notes = []
    if task in VALUE_TASKS and getattr(engine, "stream", False):
        notes.append(f"engine.stream: not used, task {task} is answered at once")
    batched = isinstance(engine, EmbeddingSettings) and task != "embed"
    if batched and "batch_size" in engine.model_fields_set:
        notes.append(f"engine.batch_size: not used, task {task} sends one input a request")
    return tuple(notes)


def scorer_task_faults(experiment: Experiment) -> list[Fault]:
    """Find scorers that can't score the answers of the experiment's task."""
    kinds = scorer_kinds()
    able = [name for name, kind in kinds.items() if experiment.task in kind.tasks]
    hint = f"can: {', '.join(able)}" if able else "leave it out: no scorer scores such answers"
    return [
        Fault(f"scorers.{name}", f"{scorer.kind} can't score the answers of task {experiment.task}", hint)
        for name, scorer in experiment.scorers.items()
        if experiment.task not in kinds[scorer.kind].tasks
    ]
