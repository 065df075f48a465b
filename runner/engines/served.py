"""Servers of weights: what YAML may say of them, and the command lines that start them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from runner.engines.adapters import Adapter, adapter_fault, find_adapter
from runner.engines.base import flag_name
from runner.engines.capabilities import Parameter
from runner.engines.heads import NO_HEADS, Heads
from runner.engines.openai_body import Body, Constrain
from runner.engines.openai_compatible import served_model_faults
from runner.engines.programs import Program, program
from runner.engines.remote import REMOTE_NEUTRAL, AttachedSettings, BaseUrl, EmbeddingSettings
from runner.engines.server_arguments import FLAG_NAME, Flag
from runner.engines.task_wire import Wire
from runner.engines.weights import find_weights, served_folder_fault, stored_dtype
from runner.errors import Fault
from runner.spec import EngineSettings, Model, Topology
from runner.values import Json


class ServerSettings(AttachedSettings):
    """What every server of weights lets you set."""

    base_url: BaseUrl | None = None
    """Address of a server that runs already, such as http://gpu7:8000/v1; left out, the job starts one."""
    args: dict[Annotated[str, Field(pattern=FLAG_NAME)], Flag | tuple[Flag, ...]] = Field(
        default_factory=dict
    )
    """Further arguments of the server, in its own flag names: true is a bare flag, a list repeats it."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the server."""
    startup_timeout: float = Field(1800.0, gt=0, le=1_000_000)
    """Seconds until a server that the job starts must answer."""


class PythonServer(EmbeddingSettings, ServerSettings):
    """What servers that are Python packages let you set."""

    python: Program | None = None
    """Interpreter of the environment that the engine is installed in: a path, or a name on PATH; left out
    means the runner's own."""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu claims no GPU."""
    generation_config: Literal["neutral", "model"] = "neutral"
    """Where sampling that nobody declared comes from: neutral defaults, or the model's own."""


class BinaryServer(ServerSettings):
    """What servers that are programs let you set."""

    binary: Program
    """The program: a path, or a name on PATH."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How one kind of server is started and asked.

    Attributes:
        name: the engine kind.
        command: makes the argument list that starts it, a pure function of what the job says.
        sampling: our name of each parameter -> how it takes it.
        constrain: how it is told what an answer has to obey.
        owned: its flags that the job sets, without dashes -> where the user says it instead.
        env: variables it is started with, under the user's own.
        probe: the task of the one-token request that tells whether it is ready, where it generates.
        wires: how each task that is answered with numbers is asked.
        heads: how it comes by the heads that some of those answers are of.
        adapter: fields of a request that ask for the experiment's adapter.
        adapter_flag: without dashes, which gives the server the adapter.
        forced_alone: a tool that is forced by its name is sent without the others.
        templated: gives a model the chat template that it has to be told, beside the user's arguments;
            copies lie in the folder.
    """

    name: str
    command: Callable[[ServerSettings, Launched], list[str]]
    sampling: Mapping[str, Parameter]
    constrain: Constrain
    owned: Mapping[str, str]
    env: Mapping[str, str]
    probe: Literal["complete", "chat"] = "complete"
    wires: Mapping[str, Wire] = field(default_factory=dict)
    heads: Heads = NO_HEADS
    adapter: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    adapter_flag: str = ""
    forced_alone: bool = False
    templated: Callable[[Model, Mapping[str, object], Path], Model] = lambda model, *_: model

    def faults(self, settings: EngineSettings, model: Model) -> list[Fault]:
        """Find what would stop it: unset variables, flags that aren't the user's, a missing interpreter."""
        assert isinstance(settings, ServerSettings)
        if settings.base_url is not None:
            return settings.variable_faults() + served_model_faults(self.name, model) + _unused(settings)
        found = (served_folder_fault(model, settings.args), adapter_fault(model))
        faults = self.owned_faults(settings.args, model) + _unsent(settings) + _program_faults(settings)
        return faults + [fault for fault in found if fault is not None]

    def owned_faults(self, args: Mapping[str, object], model: Model) -> list[Fault]:
        """Find arguments that the job sets itself."""
        owned = {**self.owned, **({self.adapter_flag: "model.adapter"} if model.adapter else {})}
        return [
            Fault(f"engine.args.{flag}", f"the job sets it for {self.name}", _instead(owned[name]))
            for flag in args
            if (name := _owned_name(flag_name(flag), owned)) is not None
        ]

    def body(self, name: str, adapter: Adapter | None) -> Body:
        """Return what makes the bodies of requests for a model that the server calls *name*."""
        further = self.further(adapter)
        return Body(name, self.sampling, self.constrain, further, forced_alone=self.forced_alone)

    def further(self, adapter: Adapter | None) -> Mapping[str, Json]:
        """Return the fields of every request that ask for an adapter."""
        return self.adapter if adapter is not None else {}


@dataclass(frozen=True, slots=True)
class Launched:
    """What a server is to be started with, beside its settings.

    Attributes:
        model: as the experiment has it.
        weights: what the engine loads: a folder, or a hub name.
        dtype: asked for, or else what the weights are stored in; None where they aren't here to tell.
        revision: commit, tag or branch of a hub name.
        name: what the model is called in requests.
        topology: sizes on the job's devices.
        port: of 127.0.0.1.
        program: the interpreter, or the program itself.
        task: what it is started for.
        adapter: the LoRA adapter that every request asks for.
        folder: where the weights lie, where they are here.
    """

    model: Model
    weights: str
    dtype: str | None
    revision: str | None
    name: str
    topology: Topology
    port: int
    program: str
    task: str = "chat"
    adapter: Adapter | None = None
    folder: Path | None = None


def _instead(key: str) -> str:
    return "leave it out" if key == "nothing" else f"set {key} instead"


def _owned_name(flag: str, owned: Mapping[str, str]) -> str | None:
    """Return which of the flags in *owned* a flag is, or abbreviates, as argparse reads it."""
    return flag if flag in owned else next((name for name in owned if name.startswith(flag)), None)


def _program_faults(settings: ServerSettings) -> list[Fault]:
    """Find that what starts the server isn't here."""
    if isinstance(settings, PythonServer) and settings.python and program(settings.python) is None:
        return [Fault("engine.python", f"no interpreter {settings.python}", asking=True)]
    if isinstance(settings, BinaryServer) and program(settings.binary) is None:
        hint = "give its path, or engine.base_url of a server that runs already"
        return [Fault("engine.binary", f"no program {settings.binary} on PATH", hint, asking=True)]
    return []


_OF_STARTED = ("args", "env", "python", "binary", "device", "startup_timeout")


def _unused(settings: ServerSettings) -> list[Fault]:
    """Find settings of a server that the job starts; at their defaults they say nothing."""
    fields = type(settings).model_fields
    given = [
        name
        for name in _OF_STARTED
        if name in settings.model_fields_set
        and getattr(settings, name) != fields[name].get_default(call_default_factory=True)
    ]
    problem = "only a server that the job starts takes it, and engine.base_url names one that runs already"
    return [Fault(f"engine.{name}", problem, "leave one of them out") for name in given]


def _unsent(settings: ServerSettings) -> list[Fault]:
    hint = "leave it out, or give engine.base_url"
    given = [name for name in ("api_key_env", "headers_env") if getattr(settings, name)]
    problem = "a server that the job starts takes none"
    faults = [Fault(f"engine.{name}", problem, hint) for name in given]
    # Programs have names of their own for what they load; the others are told ours.
    if isinstance(settings, PythonServer) and settings.served_model_name is not None:
        problem = "a server that the job starts is given its name by the job"
        faults.append(Fault("engine.served_model_name", problem, hint))
    return faults


def launched(
    settings: EngineSettings, model: Model, topology: Topology, port: int, task: str = "chat"
) -> Launched:
    """Return what a server of *model* is started with."""
    found = find_weights(model.name, model.revision)
    if found is None:
        weights, revision = model.name, model.revision
    elif found.name is None:
        weights, revision = str(found.folder), None
    else:
        weights, revision = found.name, found.commit
    return Launched(
        model=model,
        weights=weights,
        dtype=model.dtype or (stored_dtype(found.folder) if found is not None else None),
        revision=revision,
        name=_served_name(settings, model),
        topology=topology,
        port=port,
        program=_program(settings),
        task=task,
        adapter=find_adapter(model.adapter) if model.adapter is not None else None,
        folder=found.folder if found is not None else None,
    )


def _program(settings: EngineSettings) -> str:
    if isinstance(settings, BinaryServer):
        return settings.binary
    own = settings.python if isinstance(settings, PythonServer) else None
    return own or sys.executable


def _served_name(settings: EngineSettings, model: Model) -> str:
    """Return what a model is called in requests to a server of ours: a hub name, or its folder's."""
    if isinstance(settings, ServerSettings) and settings.served_model_name is not None:
        return settings.served_model_name
    return Path(model.name).name if Path(model.name).is_absolute() else model.name


NEUTRAL = REMOTE_NEUTRAL | frozenset({
    "env",
    "python",
    "binary",
    "device",
    "startup_timeout",
})
"""Settings of a server that don't change an answer."""


NEUTRAL_SAMPLING = MappingProxyType({
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
})
"""What a model's own generation config may set, at values that change nothing; always sent, so that a server
which somebody else started fills nothing in."""


def started_here(settings: EngineSettings) -> bool:
    """Tell whether the engine has to be installed beside the runner."""
    assert isinstance(settings, PythonServer)
    return settings.base_url is None and settings.python is None


def server_devices(settings: EngineSettings, topology: Topology) -> int:
    """GPUs of a server that the job starts."""
    assert isinstance(settings, ServerSettings)
    on_cpu = getattr(settings, "device", "cuda") == "cpu"
    return 0 if settings.base_url is not None or on_cpu else topology.devices
