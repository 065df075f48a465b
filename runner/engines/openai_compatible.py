"""Any server that speaks the OpenAI API: what YAML may say of it, and what would stop it."""

from __future__ import annotations

from functools import partial
from typing import Literal

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import COMPLETION_NEEDS, OF_CHAT, Capabilities, Parameter, parameters
from runner.engines.remote import REMOTE_NEUTRAL, AttachedSettings, BaseUrl, EmbeddingSettings
from runner.errors import EngineStartError, Fault
from runner.secrets import Secrets
from runner.spec import EngineSettings, Model


class OpenAICompatible(EmbeddingSettings, AttachedSettings):
    """A server that is already running: vLLM, SGLang, llama.cpp, a gateway, a provider."""

    kind: Literal["openai_compatible"] = "openai_compatible"
    """A running server with an OpenAI-compatible API."""
    base_url: BaseUrl
    """Address up to and without /chat/completions, such as http://localhost:8000/v1."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What requests call `sampling.max_tokens`; some models take max_completion_tokens alone."""


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find variables that are unset or unfit, and what of the model is the server's own affair."""
    assert isinstance(settings, OpenAICompatible)
    return settings.variable_faults() + served_model_faults(settings.kind, model)


def served_model_faults(kind: str, model: Model) -> list[Fault]:
    """Find what of a model only those who start its server can set."""
    given = [
        name
        for name in ("dtype", "quantization", "tokenizer", "chat_template", "adapter")
        if getattr(model, name)
    ]
    return [
        Fault(
            f"model.{name}",
            f"{kind} can't set it: the server was started with its own {name}",
            "leave it out; model.revision may name what the server runs",
        )
        for name in given
    ]


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks the server.

    Raises:
        EngineStartError: a variable that it needs is not set.
    """
    from runner.engines.http import HttpClient
    from runner.engines.openai_body import Body
    from runner.engines.openai_endpoint import Endpoint
    from runner.engines.openai_engine import OpenAIEngine
    from runner.engines.task_wire import OPENAI_WIRES

    assert isinstance(settings, OpenAICompatible)
    if faults := check(settings, model):
        raise EngineStartError("; ".join(str(fault) for fault in faults))
    name = settings.asked_for(model)
    sampling = {**KIND.capabilities.sampling, "max_tokens": Parameter(settings.max_tokens_field)}
    return OpenAIEngine(
        Endpoint(
            engine=KIND.name,
            base_url=settings.base_url,
            body=Body(name, sampling),
            headers=settings.headers(),
            timeout=settings.timeout,
            stream=settings.stream,
            model=name,
            wires=OPENAI_WIRES,
            batch_size=settings.batch_size,
            secrets=Secrets.of(settings.secret_names()),
            client=partial(HttpClient, max_response_bytes=settings.max_response_bytes),
            notes=context.notes,
            max_tokens_field=settings.max_tokens_field,
        )
    )


KIND = EngineKind(
    settings=OpenAICompatible,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete", "embed", "score", "rerank"}),
        # Those of OpenAI and, for what OpenAI lacks, of vLLM and SGLang.
        sampling=parameters(
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "max_tokens",
            "stop",
            "seed",
            "n",
            "logprobs",
            "top_logprobs",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "logit_bias",
            "tools",
            "tool_choice",
            "reasoning_effort",
            "passthrough",
            json_schema="response_format",
        ),
        defaults={"temperature": 1.0, "top_p": 1.0},
        lacks={"complete": OF_CHAT},
        needs=COMPLETION_NEEDS,
        concurrency=64,
        shared=True,
        features=frozenset({"stream", "images", "token_ids"}),
    ),
    factory="runner.engines.openai_compatible:create",
    summary="any server with an OpenAI-compatible API, by its address",
    # How a field is spelled doesn't change what is asked.
    neutral=REMOTE_NEUTRAL | {"max_tokens_field"},
    check=check,
)
