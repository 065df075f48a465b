"""candle-vllm as a server: what YAML may say of it, and its command line."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, parameters
from runner.engines.openai_body import response_format
from runner.engines.programs import Program
from runner.engines.served import (
    NEUTRAL,
    NEUTRAL_SAMPLING,
    BinaryServer,
    Launched,
    ServerSettings,
    Serving,
    server_devices,
)
from runner.engines.server_arguments import Flag, flags
from runner.engines.weights import weights_folder
from runner.errors import Fault
from runner.spec import EngineSettings, Model

_DTYPES = MappingProxyType({"bfloat16": "bf16", "float16": "f16", "half": "f16", "float32": "f32"})


class CandleVllm(BinaryServer):
    """candle-vllm's OpenAI-compatible server, started by the job or attached to by address.

    `topology.tensor_parallel_size` gives it that many of the job's devices (--d); `model.quantization` is its
    in-situ quantization (--isq), such as q4k.
    """

    kind: Literal["candle_vllm"] = "candle_vllm"
    """candle-vllm (Rust), as a server."""
    binary: Program = "candle-vllm"
    """The program: a path, or a name on PATH."""


def command(settings: ServerSettings, start: Launched) -> list[str]:
    """Return the command line of candle-vllm, as its README tells."""
    own: dict[str, Flag | None] = {
        "p": start.port,
        "d": ",".join(map(str, range(start.topology.devices))),
        "dtype": _DTYPES.get(start.dtype or "", start.dtype),
        "isq": start.model.quantization,
        # It takes no revision: what is here, it is given as a folder.
        "m" if start.folder is None else "w": str(start.folder or start.weights),
    }
    words = [start.program]
    for name, value in own.items():
        if value is not None:
            words += [f"--{name}", str(value)]  # its one-letter flags take two dashes
    return [*words, *flags(settings.args)]


SERVING = Serving(
    name="candle_vllm",
    command=command,
    sampling=parameters(
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
        "presence_penalty",
        "frequency_penalty",
        "passthrough",
    ),
    constrain=response_format,
    owned=MappingProxyType({
        "p": "nothing",
        "port": "nothing",
        "d": "topology.tensor_parallel_size",
        "w": "model.name",
        "m": "model.name",
        "dtype": "model.dtype",
        "isq": "model.quantization",
    }),
    env=MappingProxyType({}),
    probe="chat",
)


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find what would stop the server."""
    lacking = [name for name in ("tokenizer", "chat_template") if getattr(model, name)]
    faults = [Fault(f"model.{name}", "candle_vllm takes the model's own, no other") for name in lacking]
    return SERVING.faults(settings, model) + faults + _revision_faults(settings, model)


def _revision_faults(settings: EngineSettings, model: Model) -> list[Fault]:
    assert isinstance(settings, CandleVllm)
    if settings.base_url is not None or model.revision is None or weights_folder(model) is not None:
        return []
    problem = "candle_vllm would download the newest: it takes no revision"
    hint = f"to have it here: hf download {model.name} --revision {model.revision}"
    return [Fault("model.revision", problem, hint)]


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine, not started yet."""
    from runner.engines.served_engine import ServedEngine

    return ServedEngine(SERVING, settings, model, context)


KIND = EngineKind(
    settings=CandleVllm,
    capabilities=Capabilities(
        tasks=frozenset({"chat"}),
        sampling=SERVING.sampling,
        defaults={
            **{name: value for name, value in NEUTRAL_SAMPLING.items() if name in SERVING.sampling},
            # These too it would take from the model's own generation config.
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        },
        concurrency=64,
        local=True,
        topology=frozenset({"tensor_parallel_size"}),
        features=frozenset({"stream"}),
    ),
    factory="runner.engines.candle_vllm:create",
    summary="candle-vllm as a server, started by the job or attached to by address",
    neutral=NEUTRAL,
    devices=server_devices,
    check=check,
)
