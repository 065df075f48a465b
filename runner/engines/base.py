"""What an engine is, and what describes one without importing its SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from types import TracebackType
from typing import Any, Protocol, Self, cast

from runner.errors import Fault
from runner.spec import EngineSettings, Model, Topology
from runner.values import Request, Response


class Engine(Protocol):
    """Anything that turns a request into a response.

    Entering starts it (loads weights, opens connections) and raises `EngineStartError` if it
    can't; leaving ends everything it started. `generate` raises one of the three families of
    `runner.errors.AskError` and never retries: retries happen in one place, above it.
    """

    @property
    def version(self) -> str | None:
        """Version of the engine behind this, once started."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def generate(self, request: Request) -> Response: ...

    def stream(self, request: Request) -> AsyncIterator[str]: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine kind can honour; everything else is refused before launch.

    Attributes:
        tasks: task names it answers.
        sampling: our name of each parameter it takes -> its own name.
        defaults: what is sent for parameters that nobody declared, under our names.
        concurrency: requests in flight for ``concurrency: auto``.
        local: it loads weights on the machine it runs on (and may need GPUs).
        shared: its rate limit is shared by all jobs, so that one job is the default.
        topology: fields of `Topology` that may be more than 1.
        lacks: task -> parameters of `sampling` that it doesn't take there.
    """

    tasks: frozenset[str]
    sampling: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 64
    local: bool = False
    shared: bool = False
    topology: frozenset[str] = frozenset()
    lacks: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def takes(self, task: str) -> Mapping[str, str]:
        """Return the parameters that a task takes: our name -> the engine's own."""
        lacking = self.lacks.get(task, frozenset())
        return {name: own for name, own in self.sampling.items() if name not in lacking}


def no_devices(settings: EngineSettings, topology: Topology) -> int:  # noqa: ARG001 - the signature is shared
    """GPUs of a kind that uses none."""
    return 0


def topology_devices(settings: EngineSettings, topology: Topology) -> int:  # noqa: ARG001 - the signature is shared
    """GPUs of a kind that spreads the model over the topology."""
    return topology.devices


def no_faults(settings: EngineSettings, model: Model) -> list[Fault]:  # noqa: ARG001 - the signature is shared
    """Find nothing: the check of a kind whose settings are right once they are valid."""
    return []


@dataclass(frozen=True, slots=True)
class EngineKind:
    """Describes one kind of engine.

    Attributes:
        settings: what its YAML may say; its `kind` field is a Literal with the kind's name.
        capabilities: what it can honour.
        factory: ``module:Class``; called with (settings, model), imported only when used.
        distribution: what must be installed, or empty.
        extra: the extra of llm-runner that installs it, or empty.
        neutral: names of settings that don't change an answer and stay out of the request key,
            beside those every kind has.
        devices: GPUs one engine of this kind takes.
        check: what would stop it on this machine, such as an unset key, or what of the model it
            can't honour; cheap; places start with ``engine.`` or ``model.``.
    """

    settings: type[EngineSettings]
    capabilities: Capabilities
    factory: str
    summary: str
    distribution: str = ""
    extra: str = ""
    neutral: frozenset[str] = frozenset()
    devices: Callable[[EngineSettings, Topology], int] = no_devices
    check: Callable[[EngineSettings, Model], list[Fault]] = no_faults

    @property
    def name(self) -> str:
        """The kind's name in YAML."""
        return str(self.settings.model_fields["kind"].default)

    def installed_version(self) -> str | None:
        """Return the version of the engine's package here; None if it has none or is not installed."""
        if not self.distribution:
            return None
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    def missing(self) -> str | None:
        """Return what to type to install what this kind needs, or None when it is there."""
        if not self.distribution or self.installed_version() is not None:
            return None
        name = f'"llm-runner[{self.extra}]"' if self.extra else self.distribution
        return f"pip install {name}"

    def create(self, settings: EngineSettings, model: Model) -> Engine:
        """Import the engine's module and build an engine that is not started yet."""
        module, _, attribute = self.factory.partition(":")
        return cast("Engine", getattr(import_module(module), attribute)(settings, model))
