"""What an engine is, and what describes one without importing its SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, cast

from runner.engines.capabilities import Capabilities
from runner.engines.chunks import Chunk
from runner.engines.notes import SILENT, Notes
from runner.errors import Fault
from runner.extras import pip_install
from runner.spec import EngineSettings, Model, Topology
from runner.values import Json, Request, Response


class Responder(Protocol):
    """An engine, or what is in front of one, that answers with whole responses alone; see `Engine`."""

    @property
    def version(self) -> str | None:
        """Version of the engine behind this, once started."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def generate(self, request: Request) -> Response: ...


class Engine(Responder, Protocol):
    """Anything that turns a request into a response.

    Entering starts it (loads weights, opens connections) and raises `EngineStartError` if it
    can't; leaving ends everything it started. `generate` raises one of the three families of
    `runner.errors.AskError` and never retries: retries happen in one place, above it.

    `stream` yields chunks as they come, and at last the response, which equals that of `generate` but for its
    times; an engine that has no chunks yields the response alone. Closing the stream ends the request.
    """

    def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]: ...


@dataclass(frozen=True, slots=True)
class EngineContext:
    """Where an engine runs.

    Attributes:
        topology: devices that one copy of the model is spread over; they are those that this process sees.
        folder: where the logs of servers that it starts go.
        held: descriptors of the locks on its devices; what it starts keeps them until it is gone.
        secrets: values that no log may hold.
        task: what it will be asked for; servers are started for it.
        notes: where odd fields of answers are noted.
    """

    topology: Topology = field(default_factory=Topology)
    folder: Path = Path()
    held: tuple[int, ...] = ()
    secrets: tuple[str, ...] = ()
    task: str = "chat"
    notes: Notes = SILENT


def flag_name(flag: str) -> str:
    """Return a command line's flag as engines list it: without leading dashes, with dashes inside."""
    return flag.lstrip("-").replace("_", "-")


def no_devices(settings: EngineSettings, topology: Topology) -> int:  # noqa: ARG001 - the signature is shared
    """GPUs of a kind that uses none."""
    return 0


def always(settings: EngineSettings) -> bool:  # noqa: ARG001 - the signature is shared
    """Tell that whatever the settings say, it holds."""
    return True


def no_faults(settings: EngineSettings, model: Model) -> list[Fault]:  # noqa: ARG001 - the signature is shared
    """Find nothing: the check of a kind whose settings are right once they are valid."""
    return []


def does_each(settings: EngineSettings, model: Model, task: str) -> list[Fault]:  # noqa: ARG001 - the signature is shared
    """Find nothing: any model does each of the kind's tasks."""
    return []


RequestCheck: TypeAlias = Callable[[EngineSettings, Mapping[str, Any]], Iterable[Fault]]
"""Finds what an engine with such settings can't do; places start with ``sampling.`` or ``engine.``."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """Describes one kind of engine.

    Attributes:
        settings: what its YAML may say; its `kind` field is a Literal with the kind's name.
        capabilities: what it can honour, whatever its settings say.
        widened: what it can honour with these settings, where that is more; left out means it never is.
        factory: ``module:Class``; called with (settings, model, context), imported only when used.
        distribution: what must be installed, or empty.
        needs: whether these settings need the distribution here; left out means that all do.
        extra: the extra of llm-runner that installs it, or empty.
        neutral: names of settings that don't change an answer and stay out of the request key,
            beside those every kind has.
        neutral_args: names in the map `args` of which the same holds, as they are written with dashes.
        devices: GPUs one engine of this kind takes.
        check: what would stop it on this machine, such as an unset key (a fault of ``asking``), or what of
            the model it can't honour; cheap; places start with ``engine.`` or ``model.``.
        check_task: what of the weights here can't do a task of the kind's.
        elsewhere: settings that take the GPUs of the machines that jobs run on, where this one can't look for
            them; what is given goes before.
        request_checks: rules on the sampling of a request that this kind alone has, such as what its settings
            lack for it. Each finds one kind of fault and reads the sampling as a mapping; it need not know
            of templates.
    """

    settings: type[EngineSettings]
    capabilities: Capabilities
    factory: str
    summary: str
    distribution: str = ""
    extra: str = ""
    neutral: frozenset[str] = frozenset()
    neutral_args: frozenset[str] = frozenset()
    needs: Callable[[EngineSettings], bool] = always
    devices: Callable[[EngineSettings, Topology], int] = no_devices
    check: Callable[[EngineSettings, Model], list[Fault]] = no_faults
    check_task: Callable[[EngineSettings, Model, str], list[Fault]] = does_each
    request_checks: tuple[RequestCheck, ...] = ()
    widened: Callable[[EngineSettings], Capabilities] | None = None
    elsewhere: Mapping[str, Json] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The kind's name in YAML."""
        return str(self.settings.model_fields["kind"].default)

    def honours(self, settings: EngineSettings) -> Capabilities:
        """Return what an engine with these settings can honour."""
        return self.capabilities if self.widened is None else self.widened(settings)

    def installed_version(self) -> str | None:
        """Return the version of the engine's package here; None if it has none or is not installed."""
        if not self.distribution:
            return None
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    def missing(self, settings: EngineSettings | None = None) -> str | None:
        """Return what to type to install what this kind needs, or None when it is there or not needed."""
        if not self.distribution or self.installed_version() is not None:
            return None
        if settings is not None and not self.needs(settings):
            return None
        return pip_install(self.extra) if self.extra else f"pip install {self.distribution}"

    def loads(self, settings: EngineSettings) -> bool:
        """Tell whether the engine loads weights, rather than asking a server that has them."""
        return self.capabilities.local and getattr(settings, "base_url", None) is None

    def names_weights(self, settings: EngineSettings) -> bool:
        """Tell whether a model's name says what its weights are, rather than what a server is asked for."""
        return self.loads(settings) or getattr(settings, "served_model_name", None) is not None

    def create(self, settings: EngineSettings, model: Model, context: EngineContext | None = None) -> Engine:
        """Import the engine's module and build an engine that is not started yet."""
        module, _, attribute = self.factory.partition(":")
        factory = getattr(import_module(module), attribute)
        return cast("Engine", factory(settings, model, context or EngineContext()))
