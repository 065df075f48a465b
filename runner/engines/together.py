"""Together AI through its own SDK: what YAML may say of it, and what it takes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import COMPLETION_NEEDS, Capabilities, Parameter, parameters
from runner.engines.openai_body import Body
from runner.engines.remote import EmbeddingSettings
from runner.engines.sdk import NEUTRAL, ProviderSettings, SdkEngine, provider_faults, require_ready
from runner.spec import EngineSettings, Model
from runner.values import Message, Request

ADDRESS = "https://api.together.ai"


class Together(EmbeddingSettings, ProviderSettings):
    """Together AI's API, through its SDK; `base_url` is the address without /v1."""

    kind: Literal["together"] = "together"
    """Together AI's API, through its SDK."""
    api_key_env: str = Field("TOGETHER_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks Together; raises as `require_ready` does."""
    require_ready(KIND, settings, model)
    from runner.engines.together_sdk import together_client

    assert isinstance(settings, Together)
    address = settings.base_url or ADDRESS
    return SdkEngine(together_client(settings, address, TogetherBody(model), context.notes), settings)


class TogetherBody:
    """Makes the bodies of requests: OpenAI's, but that logprobs is how many alternatives to show.

    Tool calls of earlier turns carry their index too.
    """

    def __init__(self, model: Model) -> None:
        self._body = Body(model.name, SAMPLING)

    def __call__(self, request: Request) -> dict[str, Any]:
        body = self._body(request)
        top, wanted = request.sampling.get("top_logprobs") or 0, request.sampling.get("logprobs")
        if "logprobs" not in (request.sampling.get("passthrough") or {}):
            body.pop("top_logprobs", None)
            body.pop("logprobs", None)
            # With 0 there would be none, not even the chosen token's.
            body |= {"logprobs": max(1, top)} if wanted else {}
        if request.task == "chat":
            body["messages"] = [_indexed(message) for message in body["messages"]]
        return body


def _indexed(message: Message) -> Message:
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {**message, "tool_calls": [{"index": index, **call} for index, call in enumerate(calls)]}


SAMPLING = parameters(
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "stop",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "tools",
    "tool_choice",
    "chat_template_kwargs",
    "passthrough",
    temperature=Parameter("temperature", at_most=2.0),
    logprobs=Parameter("logprobs", note="sent as 1 or top_logprobs"),
    top_logprobs=Parameter("logprobs"),
    reasoning_effort=Parameter("reasoning_effort", note="low, medium or high"),
    json_schema="response_format",
)

KIND = EngineKind(
    settings=Together,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete", "embed"}),
        sampling=SAMPLING,
        # Sent, since what is left out may come from each model's own generation config; of top_k no value is
        # documented to be none.
        defaults={"temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0},
        concurrency=64,
        shared=True,
        lacks={
            "complete": frozenset({
                "tools",
                "tool_choice",
                "reasoning_effort",
                "chat_template_kwargs",
                "json_schema",
            })
        },
        needs=COMPLETION_NEEDS,
        features=frozenset({"stream", "images"}),
    ),
    factory="runner.engines.together:create",
    summary="Together AI's API, through its SDK",
    distribution="together",
    extra="together",
    neutral=NEUTRAL,
    check=provider_faults,
)
