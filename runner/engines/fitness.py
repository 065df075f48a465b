"""Whether an engine can run an experiment on this machine, as far as its kind and settings tell."""

from __future__ import annotations

from runner.engines.base import EngineKind
from runner.engines.registry import engine_kinds, takers
from runner.engines.setting_rules import setting_faults
from runner.errors import Fault
from runner.spec import Experiment


def engine_obstacles(experiment: Experiment, kind: EngineKind) -> list[Fault]:
    """Find what would stop an experiment's engine on this machine."""
    faults = list(kind.check(experiment.engine, experiment.model))
    faults += kind.check_task(experiment.engine, experiment.model, experiment.task)
    if (install := kind.missing(experiment.engine)) is not None:
        problem = f"{kind.name} needs {kind.distribution}, which is not installed"
        faults.append(Fault("engine.kind", problem, install, asking=True))
    return faults


def engine_faults(experiment: Experiment, kind: EngineKind) -> list[Fault]:
    """Find what of the model, the task and the topology a kind can't do, and what it lacks here."""
    faults = engine_obstacles(experiment, kind)
    if experiment.model.adapter is not None:
        faults += _adapter_faults(kind, experiment.task)
    if experiment.cache == "strict" and not kind.distribution:
        problem = f"engine {kind.name} can't tell its version before it is asked"
        faults.append(Fault("cache", problem, "name what the address serves: model.revision"))
    if experiment.task not in kind.capabilities.tasks:
        others = [k.name for k in engine_kinds().values() if experiment.task in k.capabilities.tasks]
        faults.append(
            Fault("task", f"engine {kind.name} can't do {experiment.task}", f"can: {', '.join(others)}")
        )
    return faults + setting_faults(experiment, kind)


def _adapter_faults(kind: EngineKind, task: str) -> list[Fault]:
    if "adapters" not in kind.capabilities.features:
        return [Fault("model.adapter", f"engine {kind.name} takes no adapters", takers("adapters"))]
    if task in kind.capabilities.unadapted:
        problem = f"engine {kind.name} takes none for task {task}"
        return [Fault("model.adapter", problem, "give weights that hold the adapter already")]
    return []
