"""Finds the engine that ``engine: auto`` stands for: asks each kind about the experiment at hand."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from functools import cache

from pydantic import ValidationError

from runner.config.keys import nearest
from runner.config.values import brief
from runner.engines.auto import ANYWHERE, NOT_INSTALLED, ON_GPU, Choice, choose_engine
from runner.engines.base import EngineKind
from runner.engines.fitness import engine_faults
from runner.engines.programs import program
from runner.engines.registry import engine_kinds
from runner.engines.weights import weights_folder, weights_size
from runner.errors import Fault
from runner.launch.gpus import device_memory, devices_of
from runner.launch.memory import host_memory
from runner.schema import fitting_type
from runner.spec import Experiment, SlurmCluster
from runner.values import Json, canonical_json

_DECISIVE = ("engine", "model", "topology", "task", "sampling", "cache", "cluster")
_PROBE = "import sys; from importlib.metadata import version; version(sys.argv[1])"
_PROBE_SECONDS = 60


class AutoEngine:
    """Chooses for the points of one composition; what decides the same is asked once."""

    def __init__(
        self, settled: Callable[[Experiment, Mapping[str, Json]], Experiment], *, once: bool
    ) -> None:
        """Prepare to choose.

        Args:
            settled: returns an experiment with the paths of its files absolute; its config goes with it.
            once: what is chosen first holds for all, as they share an engine.
        """
        self._settled = settled
        self._once = once
        self._known: dict[bytes, Choice] = {}

    def chosen(self, config: Mapping[str, Json]) -> tuple[dict[str, Json], Choice, list[Fault]]:
        """Return the engine's settings with its kind, why it is this one, and what is wrong."""
        if faults := _setting_faults(config["engine"]):
            return _engine_of(config, engine_kinds()[ANYWHERE[-1]]), Choice("", ""), faults
        key = b"" if self._once else canonical_json([config.get(name) for name in _DECISIVE])
        choice = self._known.get(key)
        if choice is None:
            choice, certain = self._choose(config)
            if certain:
                self._known[key] = choice
        if not choice.kind:
            faults = [Fault("engine", "auto finds no engine that can run this here", choice.reason)]
        return _engine_of(config, engine_kinds()[choice.kind or ANYWHERE[-1]]), choice, faults

    def _choose(self, config: Mapping[str, Json]) -> tuple[Choice, bool]:
        """Return the choice, and whether it is that of all that agree in what decides.

        A point that is no experiment on any engine has something wrong that the others may not have.
        """
        tried = {name: self._experiment(config, engine_kinds()[name]) for name in (*ON_GPU, *ANYWHERE)}
        able = next((experiment for experiment in tried.values() if experiment is not None), None)
        gpus = "" if able is None or _on_cpu(config) else _gpus(able)
        choice = choose_engine(
            lambda name: _obstacle(engine_kinds()[name], config["engine"], tried[name]), gpus
        )
        experiment = tried.get(choice.kind)
        if experiment is None:
            return choice, able is not None
        return Choice(choice.kind, choice.reason + _too_large(experiment, engine_kinds()[choice.kind])), True

    def _experiment(self, config: Mapping[str, Json], kind: EngineKind) -> Experiment | None:
        """Return the experiment as it would be on an engine, or None where that makes none."""
        whole = {**config, "engine": _engine_of(config, kind)}
        try:
            return self._settled(fitting_type(whole).model_validate(whole), config)
        except ValidationError:
            return None


def _engine_of(config: Mapping[str, Json], kind: EngineKind) -> dict[str, Json]:
    """Return the engine's settings as a kind takes them: without those that it needs not be told."""
    known = kind.settings.model_fields
    given = {
        name: value for name, value in config["engine"].items() if name in known or not _moot(name, value)
    }
    cluster = config.get("cluster")
    on_slurm = isinstance(cluster, dict) and cluster.get("kind") == "slurm"
    return {**(kind.elsewhere if on_slurm else {}), **given, "kind": kind.name}


def _moot(name: str, value: Json) -> bool:
    """Tell whether a setting says nothing to a kind that hasn't it: it runs here, and on the CPU alone."""
    return name == "python" or (name == "device" and value == "cpu")


def _on_cpu(config: Mapping[str, Json]) -> bool:
    return bool(config["engine"].get("device") == "cpu")


def _setting_faults(engine: Mapping[str, Json]) -> list[Fault]:
    """Find settings that no kind has, and an interpreter that isn't there."""
    known = sorted({
        key for name in (*ON_GPU, *ANYWHERE) for key in engine_kinds()[name].settings.model_fields
    })
    faults = [
        Fault(f"engine.{name}", "unknown key", nearest(name, known)) for name in engine if name not in known
    ]
    python = engine.get("python")
    if python is not None and not (isinstance(python, str) and program(python)):
        faults.append(Fault("engine.python", f"no interpreter {brief(python)}"))
    return faults


def _obstacle(kind: EngineKind, given: Mapping[str, Json], experiment: Experiment | None) -> str:
    """Say what stops a kind; of what is wrong with the config whatever runs it, the plan tells."""
    known = kind.settings.model_fields
    unknown = [name for name, value in given.items() if name not in known and not _moot(name, value)]
    if unknown:
        return f"takes no engine.{unknown[0]}"
    python = given.get("python") if "python" in known else None
    if isinstance(python, str):
        if not _holds(python, kind.distribution):
            return f"not in {python}"
    elif kind.missing() is not None:
        return NOT_INSTALLED
    return _incapable(kind, given, experiment) if experiment is not None else ""


def _incapable(kind: EngineKind, given: Mapping[str, Json], experiment: Experiment) -> str:
    """Say what a kind can't do of what is asked, or hasn't got for it here."""
    taken = {*kind.honours(experiment.engine).takes(experiment.task), *experiment.model.omit}
    if lacking := [name for name in experiment.sampling.given() if name not in taken]:
        return f"can't honour {', '.join(lacking)}"
    what = kind.honours(experiment.engine).no_pieces(experiment.task, experiment.sampling.given())
    if what and given.get("stream"):
        return f"can't stream {what}"
    # Weights that aren't here are missed by each.
    faults = [fault for fault in engine_faults(experiment, kind) if fault.place != "model.name"]
    return (
        faults[0].problem.removeprefix(f"engine {kind.name} ").removeprefix(f"{kind.name} ") if faults else ""
    )


@cache
def _holds(python: str, distribution: str) -> bool:
    """Tell whether the environment of an interpreter holds a distribution."""
    interpreter = program(python)
    if interpreter is None:
        return False
    command = [interpreter, "-c", _PROBE, distribution]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):  # it isn't even a program
        return False
    return done.returncode == 0


def _gpus(experiment: Experiment) -> str:
    """Say which GPUs jobs will find; on Slurm a job gets as many as its topology asks for."""
    if isinstance(experiment.cluster, SlurmCluster):
        return "the GPUs that Slurm gives"
    count = len(devices_of(experiment.cluster))
    return f"{count} GPU{'s' * (count > 1)} here" if count else ""


def _too_large(experiment: Experiment, kind: EngineKind) -> str:
    """Say that the weights, as they are stored, don't fit the memory of what they are loaded on."""
    folder = weights_folder(experiment.model)
    room = _room(experiment, kind)
    size = 0 if folder is None else weights_size(folder)
    if room is None or size <= room[0]:
        return ""
    from rich.filesize import decimal

    return f"; the weights ({decimal(size)}) don't fit {room[1]} ({decimal(room[0])})"


def _room(experiment: Experiment, kind: EngineKind) -> tuple[int, str] | None:
    """Return the memory (bytes) for one copy of the weights, and whose it is; None if that can't be told."""
    if isinstance(experiment.cluster, SlurmCluster) or not kind.loads(experiment.engine):
        return None
    topology = experiment.topology
    count = kind.devices(experiment.engine, topology) // topology.data_parallel_size
    if not count:
        return host_memory(), "the memory that jobs have here"
    each = device_memory(devices_of(experiment.cluster))
    return (count * each, f"the memory of {count} GPU{'s' * (count > 1)}") if each else None
