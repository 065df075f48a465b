"""OpenAI through its own SDK: what YAML may say of it, and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import COMPLETION_NEEDS, Capabilities, Parameter, parameters
from runner.engines.openai_body import Body
from runner.engines.remote import EmbeddingSettings
from runner.engines.sdk import NEUTRAL, ProviderSettings, SdkEngine, provider_faults, require_ready
from runner.spec import EngineSettings, Model
from runner.values import Request

ADDRESS = "https://api.openai.com/v1"


class OpenAI(EmbeddingSettings, ProviderSettings):
    """OpenAI's API, through its SDK."""

    kind: Literal["openai"] = "openai"
    """OpenAI's API, through its SDK."""
    api_key_env: str = Field("OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks OpenAI; raises as `require_ready` does."""
    require_ready(KIND, settings, model)
    from runner.engines.openai_sdk import openai_client

    assert isinstance(settings, OpenAI)
    return SdkEngine(
        openai_client(settings, settings.base_url or ADDRESS, _body(model), context.notes), settings
    )


def _body(model: Model) -> Callable[[Request], dict[str, Any]]:
    """Return what makes the bodies: old models that complete raw prompts know max_tokens alone."""
    chat = Body(model.name, SAMPLING)
    complete = Body(model.name, {**SAMPLING, "max_tokens": Parameter("max_tokens")})
    return lambda request: chat(request) if request.task == "chat" else complete(request)


SAMPLING = parameters(
    "top_p",
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "passthrough",
    temperature=Parameter("temperature", at_most=2.0, note="reasoning models take 1 alone"),
    logit_bias=Parameter("logit_bias", at_most=100),
    max_tokens=Parameter("max_completion_tokens", note="reasoning counts too"),
    stop=Parameter("stop", count=4, note="not for reasoning models"),
    json_schema=Parameter("response_format", note="every property required, additionalProperties false"),
)

KIND = EngineKind(
    settings=OpenAI,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete", "embed"}),
        sampling=SAMPLING,
        # Nothing: its own are documented (1 and 1), and reasoning models refuse to be told.
        defaults={},
        concurrency=64,
        shared=True,
        lacks={"complete": frozenset({"tools", "tool_choice", "reasoning_effort", "json_schema"})},
        needs=COMPLETION_NEEDS,
        features=frozenset({"stream", "images", "token_ids"}),
    ),
    factory="runner.engines.openai:create",
    summary="OpenAI's API, through its SDK",
    distribution="openai",
    extra="openai",
    neutral=NEUTRAL,
    check=provider_faults,
)
