"""Engines of weights inside this process: what YAML may say of each, and what tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import Field

from runner.engines.adapters import adapter_fault
from runner.engines.remote import EmbeddingSettings
from runner.engines.served import Launched, Serving
from runner.engines.server_arguments import FLAG_NAME, Arguments, Flag
from runner.engines.weights import absent_fault, served_folder_fault
from runner.errors import Fault
from runner.spec import EngineSettings, Model, Topology

if TYPE_CHECKING:
    from runner.engines.asgi import App


class OfflineSettings(EmbeddingSettings):
    """What every engine of weights inside this process lets you set."""

    args: dict[Annotated[str, Field(pattern=FLAG_NAME)], Flag | tuple[Flag, ...]] = Field(
        default_factory=dict
    )
    """Further arguments of the engine, in its own flag names: true is a bare flag, a list repeats it."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables, set in this process before the engine is imported."""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu claims no GPU."""
    generation_config: Literal["neutral", "model"] = "neutral"
    """Where sampling that nobody declared comes from: neutral defaults, or the model's own."""
    stream: bool = False
    """Have answers come in pieces, and record the time to the first and between them."""


NEUTRAL = frozenset({"env", "device", "stream", "batch_size"})
"""Settings of an engine in this process that don't change an answer."""


class Running(Protocol):
    """An engine that runs in this process."""

    @property
    def app(self) -> App:
        """The engine's own API, without a server."""
        ...

    @property
    def gone(self) -> str | None:
        """Why it can't answer any more; None while it can."""
        ...


@dataclass(frozen=True, slots=True)
class Offline:
    """How one kind of engine is run in this process.

    Attributes:
        name: the engine kind.
        serving: the same engine as a server: its parameters, and how they are sent.
        arguments: makes its command line, without the program; of it the job makes the engine.
        open: starts the engine in the event loop that it is entered in, and ends it; processes of its own
            that are left then are killed.
        version: of the engine's package.
    """

    name: str
    serving: Serving
    arguments: Callable[[Arguments, Launched, Mapping[str, Flag]], list[str]]
    open: Callable[[Sequence[str]], AbstractAsyncContextManager[Running]]
    version: Callable[[], str | None]

    def faults(self, settings: EngineSettings, model: Model) -> list[Fault]:
        """Find what would stop it: weights that aren't here, flags that aren't the user's."""
        assert isinstance(settings, OfflineSettings)
        weights = absent_fault(model) or served_folder_fault(model, settings.args)
        found = [fault for fault in (weights, adapter_fault(model)) if fault is not None]
        return found + self.serving.owned_faults(settings.args, model)


def offline_devices(settings: EngineSettings, topology: Topology) -> int:
    """GPUs of an engine in this process."""
    assert isinstance(settings, OfflineSettings)
    return 0 if settings.device == "cpu" else topology.devices
