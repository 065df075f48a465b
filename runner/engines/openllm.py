"""OpenLLM as a server: what YAML may say of it, and its command line."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import COMPLETION_NEEDS, Capabilities, parameters
from runner.engines.openai_body import response_format
from runner.engines.openai_compatible import served_model_faults
from runner.engines.programs import Program
from runner.engines.served import NEUTRAL, BinaryServer, Launched, ServerSettings, Serving, server_devices
from runner.engines.server_arguments import flags
from runner.errors import Fault
from runner.spec import EngineSettings, Model


class OpenLLM(BinaryServer):
    """OpenLLM's OpenAI-compatible server (BentoML), started by the job or attached to by address.

    `model.name` is a name of its own catalogue, such as llama3.2:1b; what it loads is OpenLLM's affair.
    """

    kind: Literal["openllm"] = "openllm"
    """OpenLLM, as a server."""
    binary: Program = "openllm"
    """The program: a path, or a name on PATH."""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu claims no GPU, for what its catalogue has for machines without one."""


def command(settings: ServerSettings, start: Launched) -> list[str]:
    """Return the command line of `openllm serve` (OpenLLM 0.6)."""
    return [start.program, "serve", start.model.name, "--port", str(start.port), *flags(settings.args)]


SERVING = Serving(
    name="openllm",
    command=command,
    # Its servers are vLLM's inside, with the parameters of the OpenAI API.
    sampling=parameters(
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "seed",
        "n",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "frequency_penalty",
        "passthrough",
        json_schema="response_format",
    ),
    constrain=response_format,
    owned=MappingProxyType({"port": "nothing"}),
    env=MappingProxyType({}),
)


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find what would stop the server."""
    faults = SERVING.faults(settings, model) + served_model_faults("openllm", model)
    return list(dict.fromkeys(faults + _revision_faults(settings, model)))


def _revision_faults(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find a revision that `openllm serve` has no word for; of a server that runs already it is a label."""
    assert isinstance(settings, OpenLLM)
    if settings.base_url is not None or model.revision is None:
        return []
    problem = "openllm takes no revision: a version of its catalogue stands in the name"
    hint = "leave it out" if ":" in model.name else f"such as model.name={model.name}:{model.revision}"
    return [Fault("model.revision", problem, hint)]


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine, not started yet."""
    from runner.engines.served_engine import ServedEngine

    return ServedEngine(SERVING, settings, model, context)


KIND = EngineKind(
    settings=OpenLLM,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete"}),
        sampling=SERVING.sampling,
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=64,
        needs=COMPLETION_NEEDS,
        features=frozenset({"stream"}),
        one_greedy_choice=True,
    ),
    factory="runner.engines.openllm:create",
    summary="OpenLLM as a server, started by the job or attached to by address",
    neutral=NEUTRAL,
    devices=server_devices,
    check=check,
)
