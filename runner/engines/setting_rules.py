"""Rules on what an experiment sets beside its sampling, for every engine kind: nothing is ignored in silence.

Each finds a setting that would change nothing, or one of two that say the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.engines.base import EngineKind, flag_name
from runner.engines.registry import engine_kinds
from runner.engines.remote import RemoteSettings
from runner.errors import Fault
from runner.spec import EngineSettings, Experiment, Topology

_TRANSPORT = frozenset({
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
})
"""Headers that say how a request travels."""

_DEVICES = frozenset({
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
})
"""Variables by which a job gives its engine the GPUs that it claimed."""


def setting_faults(experiment: Experiment, kind: EngineKind) -> list[Fault]:
    """Find settings that would change nothing, and things that are said twice."""
    settings = experiment.engine
    return [
        *_header_faults(settings),
        *_argument_faults(getattr(settings, "args", {})),
        *_device_faults(experiment, kind),
        *_revision_faults(experiment, kind),
        *_topology_faults(experiment, kind),
    ]


def _header_faults(settings: EngineSettings) -> Iterator[Fault]:
    """Find headers that the runner sends itself, and those that are given twice."""
    if not isinstance(settings, RemoteSettings):
        return
    own = settings.own_headers()
    seen: dict[str, str] = {}
    for header in settings.headers_env:
        name, place = header.lower(), f"engine.headers_env.{header}"
        if (key := own.get(name)) is not None:
            yield Fault(place, f"engine {settings.kind} sends it itself", f"set {key} instead")
        elif name in _TRANSPORT:
            yield Fault(place, "the runner sends it itself", "leave it out")
        elif name in seen:
            yield Fault(place, f"the same header as {seen[name]}", "leave one of them out")
        seen.setdefault(name, header)


def _argument_faults(args: Mapping[str, object]) -> Iterator[Fault]:
    """Find arguments that are given twice, in two spellings."""
    seen: dict[str, str] = {}
    for flag in args:
        name = flag_name(flag).removeprefix("no-")
        if name in seen:
            yield Fault(f"engine.args.{flag}", f"the same argument as {seen[name]}", "leave one of them out")
        seen.setdefault(name, flag)


def _device_faults(experiment: Experiment, kind: EngineKind) -> Iterator[Fault]:
    """Find variables that would give an engine other GPUs than those that its job claims."""
    env: Mapping[str, str] = getattr(experiment.engine, "env", {})
    if kind.loads(experiment.engine) and kind.devices(experiment.engine, experiment.topology):
        for name in sorted(_DEVICES & env.keys()):
            problem = "the job gives its engine the GPUs that it claims"
            yield Fault(f"engine.env.{name}", problem, "set cluster.devices or topology instead")


def _revision_faults(experiment: Experiment, kind: EngineKind) -> Iterator[Fault]:
    """Find the revision of a folder, which has none."""
    model = experiment.model
    if model.revision is not None and kind.loads(experiment.engine) and Path(model.name).is_absolute():
        hint = "leave it out: a folder counts by its content"
        yield Fault("model.revision", f"{model.name} is a folder of weights, which has no revisions", hint)


def _topology_faults(experiment: Experiment, kind: EngineKind) -> Iterator[Fault]:
    if experiment.topology.replicas > 1:
        problem = "more than one replica is not built yet"
        yield Fault("topology.replicas", problem, "use several points or jobs")
    attached = getattr(experiment.engine, "base_url", None) is not None
    for name in Topology.model_fields:
        if name == "replicas" or getattr(experiment.topology, name) == 1:
            continue
        place = f"topology.{name}"
        if name not in kind.capabilities.topology:
            able = [k.name for k in engine_kinds().values() if name in k.capabilities.topology]
            hint = f"taken by: {', '.join(able)}" if able else "no engine kind takes it yet"
            runs = "sends requests to a server" if attached else "runs on one device"
            yield Fault(place, f"engine {kind.name} {runs}", hint)
        elif attached:
            problem = "engine.base_url names a server that runs already, with sizes of its own"
            yield Fault(place, problem, "leave one of them out")
