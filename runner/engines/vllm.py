"""vLLM as a server: what YAML may say of it, and its command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from runner.engines.adapters import NAME, Adapter
from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import COMPLETION_NEEDS, OF_CHAT, Capabilities, Parameter, parameters
from runner.engines.heads import Heads
from runner.engines.openai_body import response_format
from runner.engines.reasoning_parsers import reasoning_fault
from runner.engines.served import (
    NEUTRAL,
    NEUTRAL_SAMPLING,
    Launched,
    PythonServer,
    ServerSettings,
    Serving,
    server_devices,
    started_here,
)
from runner.engines.server_arguments import Arguments, Flag, flags, given, unless_given
from runner.engines.task_wire import VLLM_WIRES
from runner.engines.tool_parsers import parser_fault, parser_given
from runner.errors import Fault
from runner.spec import EngineSettings, Model
from runner.values import Json, canonical_json


class Vllm(PythonServer):
    """vLLM's OpenAI-compatible server, started by the job on its GPUs or attached to by address.

    `topology` sets --tensor-parallel-size, --pipeline-parallel-size and --data-parallel-size.
    """

    kind: Literal["vllm"] = "vllm"
    """vLLM, as a server."""


def command(settings: ServerSettings, start: Launched) -> list[str]:
    """Return the command line of `vllm serve` (vLLM 0.32)."""
    assert isinstance(settings, PythonServer)
    address: dict[str, Flag] = {"host": "127.0.0.1", "port": start.port}
    return [start.program, "-m", "vllm.entrypoints.cli.main", "serve", *arguments(settings, start, address)]


def arguments(settings: Arguments, start: Launched, address: Mapping[str, Flag]) -> list[str]:
    """Return what follows `vllm serve`."""
    model, topology = start.model, start.topology
    own: dict[str, Flag | None] = {
        "served-model-name": start.name,
        **address,
        "revision": start.revision,
        "tokenizer": model.tokenizer,
        "chat-template": model.chat_template,
        "dtype": start.dtype,
        "quantization": model.quantization,
        "tensor-parallel-size": topology.tensor_parallel_size,
        "pipeline-parallel-size": topology.pipeline_parallel_size,
        "data-parallel-size": topology.data_parallel_size,
        "generation-config": "auto" if settings.generation_config == "model" else "vllm",
        **_adapter(start.adapter, settings.args),
    }
    started_for = unless_given({**_STARTED_FOR.get(start.task, {}), **_calls(settings.args)}, settings)
    return [start.weights, *flags(given(own)), *flags(started_for), *flags(settings.args)]


_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank takes."""


def _adapter(adapter: Adapter | None, args: Mapping[str, object]) -> dict[str, Flag]:
    if adapter is None:
        return {}
    own = canonical_json({"name": NAME, "path": str(adapter.folder)}).decode()
    room = next((rank for rank in _RANKS if rank >= adapter.rank), adapter.rank)
    said = {flag.replace("_", "-") for flag in args}
    rank: dict[str, Flag] = {} if "max-lora-rank" in said else {"max-lora-rank": room}
    return {"enable-lora": True, "lora-modules": own, **rank}


def _calls(args: Mapping[str, object]) -> dict[str, Flag]:
    """Let a parser read the calls that the model makes of its own accord, too."""
    return {"enable-auto-tool-choice": True} if parser_given(args) else {}


_STARTED_FOR: Mapping[str, Mapping[str, Flag]] = MappingProxyType({
    "embed": {"runner": "pooling", "convert": "embed"},
    "classify": {"runner": "pooling", "convert": "classify"},
    "score": {"runner": "pooling"},
    "rerank": {"runner": "pooling"},
    "reward": {"runner": "pooling"},
})
"""Flags by task; for what isn't here it generates. Scoring converts as the model's architecture needs it."""


def _of_heads(args: Mapping[str, object]) -> Mapping[str, str]:
    """Return the tasks whose answers come from a head; scores do only where it is told to classify."""
    if any(flag.partition(".")[0] == "hf-overrides" for flag in args):
        return {}
    tasks = dict.fromkeys(("classify", "reward"), "or say how vLLM makes one: engine.args.hf-overrides")
    if args.get("convert") == "classify":
        tasks |= dict.fromkeys(("score", "rerank"), "without engine.args.convert vLLM compares embeddings")
    return tasks


def constrain(name: str, value: Json) -> dict[str, Json]:
    """Ask for structured output in vLLM's own fields, where OpenAI has none."""
    if name == "json_schema":
        return response_format(name, value)
    return {"structured_outputs": {name: value}}


_OWNED = {
    "model": "model.name",
    "served-model-name": "model.name",
    "host": "nothing",
    "port": "nothing",
    "revision": "model.revision",
    "tokenizer": "model.tokenizer",
    "chat-template": "model.chat_template",
    "dtype": "model.dtype",
    "quantization": "model.quantization",
    "tp": "topology.tensor_parallel_size",
    "pp": "topology.pipeline_parallel_size",
    "dp": "topology.data_parallel_size",
    "tensor-parallel-size": "topology.tensor_parallel_size",
    "pipeline-parallel-size": "topology.pipeline_parallel_size",
    "data-parallel-size": "topology.data_parallel_size",
    "generation-config": "engine.generation_config",
    # Its arguments would not be seen by the plan.
    "config": "engine.args",
    "api-key": "nothing",
    "override-generation-config": "sampling",
}

NEUTRAL_ARGS = frozenset({
    "api-server-count",
    "cpu-offload-gb",
    "disable-log-stats",
    "disable-uvicorn-access-log",
    "enable-log-requests",
    "gpu-memory-utilization",
    "kv-cache-memory-bytes",
    "max-logprobs",
    "max-num-seqs",
    "uvicorn-log-level",
})
"""How fast and how loud it is, not what it answers."""

SAMPLING = parameters(
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "min_tokens",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "return_token_ids",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "use_beam_search",
    "length_penalty",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "continue_final_message",
    "chat_template_kwargs",
    "passthrough",
    temperature=Parameter("temperature", at_most=2.0),
    # It clips larger ones in silence.
    logit_bias=Parameter("logit_bias", at_most=100),
    json_schema="response_format",
    regex=Parameter("structured_outputs.regex"),
    choice=Parameter("structured_outputs.choice"),
)

BESIDE_BEAM_SEARCH = frozenset({
    "use_beam_search",
    "length_penalty",
    "n",
    "max_tokens",
    "ignore_eos",
    "logprobs",
    "top_logprobs",
    "return_token_ids",
    "tools",
    "reasoning_effort",
    "continue_final_message",
    "chat_template_kwargs",
    "passthrough",
})
"""What vLLM's beam search is handed (to_beam_search_params), and what is about the prompt or the response."""

SERVING = Serving(
    name="vllm",
    command=command,
    sampling=SAMPLING,
    constrain=constrain,
    owned=MappingProxyType(_OWNED),
    # Empty is none: with the key of another server of the user's, it would refuse the job that starts it.
    env=MappingProxyType({"VLLM_NO_USAGE_STATS": "1", "VLLM_API_KEY": ""}),
    wires=VLLM_WIRES,
    heads=Heads(
        tasks=_of_heads,
        tensors=re.compile(r"^(?:model\.|language_model\.)*score\."),
        keys=("classifier_from_token",),
    ),
    adapter=MappingProxyType({"model": NAME}),
    adapter_flag="lora-modules",
)


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find what would stop the server."""
    return SERVING.faults(settings, model)


def calls_unread(settings: EngineSettings, sampling: Mapping[str, Any]) -> list[Fault]:
    """Find tools without a parser, which vLLM would refuse."""
    hint = "name the parser of the model's calls, such as hermes; any does where tool_choice forces one"
    return parser_fault(settings, sampling, lambda choice: choice != "none", hint)


def reasoning_unread(settings: EngineSettings, sampling: Mapping[str, Any]) -> list[Fault]:
    """Find reasoning that would stay in the answer, since no parser is named."""
    return reasoning_fault(settings, sampling, "qwen3, deepseek_r1 or openai_gptoss")


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine, not started yet."""
    from runner.engines.served_engine import ServedEngine

    return ServedEngine(SERVING, settings, model, context)


KIND = EngineKind(
    settings=Vllm,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete", *VLLM_WIRES, "loglikelihood"}),
        sampling=SAMPLING,
        defaults=NEUTRAL_SAMPLING,
        concurrency=256,
        local=True,
        topology=frozenset({"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"}),
        lacks={"complete": OF_CHAT},
        needs=COMPLETION_NEEDS,
        features=frozenset({"stream", "images", "token_ids", "adapters"}),
        unstreamed=frozenset({"use_beam_search", "prompt_logprobs"}),
        beam_search=BESIDE_BEAM_SEARCH,
        one_greedy_choice=True,
    ),
    factory="runner.engines.vllm:create",
    summary="vLLM as a server, started by the job or attached to by address",
    distribution="vllm",
    extra="vllm",
    neutral=NEUTRAL,
    neutral_args=NEUTRAL_ARGS,
    needs=started_here,
    devices=server_devices,
    check=check,
    check_task=SERVING.heads.faults,
    request_checks=(calls_unread, reasoning_unread),
)
