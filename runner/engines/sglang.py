"""SGLang as a server: what YAML may say of it, and its command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from runner.engines.adapters import NAME, Adapter
from runner.engines.base import Engine, EngineContext, EngineKind, flag_name
from runner.engines.capabilities import COMPLETION_NEEDS, OF_CHAT, Capabilities, Parameter, parameters
from runner.engines.chat_templates import absent_template, as_jinja, with_own
from runner.engines.constraints import choice_regex
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
from runner.engines.sglang_loglikelihood import LOGLIKELIHOOD
from runner.engines.task_wire import SGLANG_WIRES
from runner.engines.tool_parsers import parser_fault
from runner.errors import Fault
from runner.spec import EngineSettings, Model
from runner.values import Json, canonical_json

GUESSED = re.compile(
    r"\bpoints\b|moss.*vl|internvl|janus|vicuna|llava-v1\.[56]|llava-next-video|llava-onevision-qwen2"
    r"|deepseek.*vl2|deepseek-ocr|minicpm-[vo]|phi-4-multimodal|unlimited|paddleocr|whisper",
    re.IGNORECASE,
)
"""Paths of weights by which SGLang (0.5.23) takes a chat template of its own, anywhere in them."""


class Sglang(PythonServer):
    """SGLang's OpenAI-compatible server, started by the job on its GPUs or attached to by address.

    `topology` sets --tp-size, --pp-size and --dp-size.
    """

    kind: Literal["sglang"] = "sglang"
    """SGLang, as a server."""


def command(settings: ServerSettings, start: Launched) -> list[str]:
    """Return the command line of `sglang.launch_server` (SGLang 0.5.23)."""
    assert isinstance(settings, PythonServer)
    address: dict[str, Flag] = {"host": "127.0.0.1", "port": start.port}
    return [start.program, "-m", "sglang.launch_server", *arguments(settings, start, address)]


def arguments(settings: Arguments, start: Launched, address: Mapping[str, Flag]) -> list[str]:
    """Return what follows the program."""
    model, topology = start.model, start.topology
    own: dict[str, Flag | None] = {
        "model-path": start.weights,
        "served-model-name": start.name,
        **address,
        "revision": start.revision,
        "tokenizer-path": model.tokenizer,
        "chat-template": model.chat_template,
        "dtype": start.dtype,
        "quantization": model.quantization,
        "tp-size": topology.tensor_parallel_size,
        "pp-size": topology.pipeline_parallel_size,
        "dp-size": topology.data_parallel_size,
        "sampling-defaults": "model" if settings.generation_config == "model" else "openai",
        "device": settings.device,
        **_adapter(start.adapter),
    }
    started_for = unless_given({"is-embedding": True}, settings) if start.task in SGLANG_WIRES else {}
    return [*flags(given(own)), *flags(started_for), *flags(settings.args)]


def _adapter(adapter: Adapter | None) -> dict[str, Flag]:
    if adapter is None:
        return {}
    own = canonical_json({"lora_name": NAME, "lora_path": str(adapter.folder), "pinned": True}).decode()
    return {"enable-lora": True, "lora-paths": own}


def _of_heads(args: Mapping[str, object]) -> Mapping[str, str]:
    """Return the tasks whose answers come from a head; one that generates ranks by its chat template."""
    if "json-model-override-args" in args or args.get("is-embedding") is False:
        return {}
    made = "or say what it is: engine.args.json-model-override-args"
    compared = "engine vllm compares the embeddings of any other"
    return dict.fromkeys(("classify", "reward"), made) | dict.fromkeys(("score", "rerank"), compared)


def constrain(name: str, value: Json) -> dict[str, Json]:
    """Ask for what an answer has to obey in SGLang's own fields, where OpenAI has none."""
    if name == "json_schema":
        return response_format(name, value)
    return {"regex": choice_regex(value) if name == "choice" else value}


_OWNED = {
    "model": "model.name",
    "model-path": "model.name",
    "served-model-name": "model.name",
    "host": "nothing",
    "port": "nothing",
    "revision": "model.revision",
    "tokenizer-path": "model.tokenizer",
    "chat-template": "model.chat_template",
    "dtype": "model.dtype",
    "quantization": "model.quantization",
    "tp": "topology.tensor_parallel_size",
    "tp-size": "topology.tensor_parallel_size",
    "tensor-parallel-size": "topology.tensor_parallel_size",
    "pp-size": "topology.pipeline_parallel_size",
    "pipeline-parallel-size": "topology.pipeline_parallel_size",
    "dp-size": "topology.data_parallel_size",
    "data-parallel-size": "topology.data_parallel_size",
    "sampling-defaults": "engine.generation_config",
    "device": "engine.device",
    # Its arguments would not be seen by the plan.
    "config": "engine.args",
    "api-key": "nothing",
    "preferred-sampling-params": "sampling",
}

NEUTRAL_ARGS = frozenset({
    "enable-metrics",
    "log-level",
    "log-requests",
    "max-running-requests",
    "max-total-tokens",
    "mem-fraction-static",
    "watchdog-timeout",
})
"""How fast and how loud it is, not what it answers."""

SAMPLING = parameters(
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "min_tokens",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "n",
    "logprobs",
    "top_logprobs",
    "return_token_ids",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "continue_final_message",
    "chat_template_kwargs",
    "passthrough",
    repetition_penalty=Parameter("repetition_penalty", note="of the answer's tokens alone"),
    json_schema="response_format",
    regex="regex",
    choice="regex",
)

WIRES = {**SGLANG_WIRES, "loglikelihood": LOGLIKELIHOOD}


def _templated(model: Model, args: Mapping[str, object], folder: Path) -> Model:
    """Return *model* with a template that ends in .jinja: any other is read as JSON of a form of its own."""
    named = [value for flag, value in args.items() if flag_name(flag) == "hf-chat-template-name" and value]
    # SGLang reads that argument only where it takes the tokenizer's own itself.
    return as_jinja(with_own(model, GUESSED, folder, str(named[-1]) if named else None), folder)


SERVING = Serving(
    name="sglang",
    command=command,
    sampling=SAMPLING,
    constrain=constrain,
    owned=MappingProxyType(_OWNED),
    env=MappingProxyType({}),
    wires=MappingProxyType(WIRES),
    heads=Heads(tasks=_of_heads),
    adapter=MappingProxyType({"lora_path": NAME}),
    adapter_flag="lora-paths",
    # Of the tools it shows the model that one alone; many of its parsers would have any of the others called.
    forced_alone=True,
    templated=_templated,
)


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find what would stop the server."""
    found = SERVING.faults(settings, model) + adapter_faults(settings, model)
    return found + template_faults(model) if KIND.loads(settings) else found


def template_faults(model: Model) -> list[Fault]:
    """Find that SGLang would have the tokenizer's own chat template only once it is here to be given."""
    found = absent_template(model, GUESSED)
    return [found] if found is not None else []


def adapter_faults(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find an adapter on a CPU: SGLang pins the memory of adapters, which only a GPU's driver can."""
    if model.adapter is None or getattr(settings, "device", "cuda") != "cpu":
        return []
    return [
        Fault("model.adapter", "SGLang takes adapters on a GPU only", "engine vllm takes them on a CPU too")
    ]


def calls_unread(settings: EngineSettings, sampling: Mapping[str, Any]) -> list[Fault]:
    """Find tools without a parser: SGLang would leave calls that nobody forced in the text."""
    hint = "name the parser of the model's calls, or auto; a tool_choice that forces one needs none"
    return parser_fault(settings, sampling, lambda choice: choice is None or choice == "auto", hint)


def reasoning_unread(settings: EngineSettings, sampling: Mapping[str, Any]) -> list[Fault]:
    """Find reasoning that would stay in the answer, since no parser is named."""
    return reasoning_fault(settings, sampling, "qwen3, deepseek-r1 or gpt-oss")


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine, not started yet."""
    from runner.engines.served_engine import ServedEngine

    return ServedEngine(SERVING, settings, model, context)


CAPABILITIES = Capabilities(
    tasks=frozenset({"chat", "complete", *WIRES}),
    sampling=SAMPLING,
    defaults=NEUTRAL_SAMPLING,
    concurrency=256,
    local=True,
    topology=frozenset({"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"}),
    lacks={"complete": OF_CHAT},
    needs=COMPLETION_NEEDS,
    features=frozenset({"stream", "images", "token_ids", "adapters"}),
    unstreamed=frozenset({"return_token_ids"}),
    # Its /v1/rerank and /v1/classify leave an adapter unread.
    unadapted=frozenset({"score", "rerank", "classify"}),
)

DETERMINISTIC = "enable-deterministic-inference"
"""Without it SGLang takes a seed and does nothing with it. It needs a GPU."""


def widened(settings: EngineSettings) -> Capabilities:
    """Return what SGLang takes with these arguments."""
    args: Mapping[str, object] = getattr(settings, "args", {})
    said = {flag_name(flag) for flag, value in args.items() if value is not False}
    if DETERMINISTIC not in said:
        return CAPABILITIES
    return replace(CAPABILITIES, sampling={**SAMPLING, "seed": Parameter("seed")})


KIND = EngineKind(
    settings=Sglang,
    capabilities=CAPABILITIES,
    factory="runner.engines.sglang:create",
    summary="SGLang as a server, started by the job or attached to by address",
    distribution="sglang",
    extra="sglang",
    neutral=NEUTRAL,
    neutral_args=NEUTRAL_ARGS,
    needs=started_here,
    devices=server_devices,
    check=check,
    check_task=SERVING.heads.faults,
    request_checks=(calls_unread, reasoning_unread),
    widened=widened,
)
