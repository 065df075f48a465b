"""xAI: what YAML may say of it, and what it takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, Parameter, parameters
from runner.engines.preset import preset_engine
from runner.engines.sdk import NEUTRAL, ProviderSettings, provider_faults
from runner.spec import EngineSettings, Model

ADDRESS = "https://api.x.ai/v1"


class XAI(ProviderSettings):
    """xAI's API."""

    kind: Literal["xai"] = "xai"
    """xAI's API."""
    api_key_env: str = Field("XAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks xAI; raises as `require_ready` does."""
    return preset_engine(KIND, settings, model, ADDRESS, context.notes)


KIND = EngineKind(
    settings=XAI,
    capabilities=Capabilities(
        tasks=frozenset({"chat"}),
        sampling=parameters(
            "top_p",
            "seed",
            "n",
            "tools",
            "tool_choice",
            "passthrough",
            temperature=Parameter("temperature", at_most=2.0),
            max_tokens=Parameter("max_completion_tokens", note="reasoning doesn't count"),
            stop=Parameter("stop", count=4, note="not for reasoning models"),
            logprobs=Parameter("logprobs", note="not for Grok 4.20 and later"),
            top_logprobs=Parameter("top_logprobs", at_most=8, note="not for Grok 4.20 and later"),
            presence_penalty=Parameter("presence_penalty", note="not for reasoning models"),
            frequency_penalty=Parameter("frequency_penalty", note="not for reasoning models"),
            reasoning_effort=Parameter("reasoning_effort", note="which values depends on the model"),
            json_schema="response_format",
        ),
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=64,
        shared=True,
        features=frozenset({"stream", "images"}),
    ),
    factory="runner.engines.xai:create",
    summary="xAI's API (Grok)",
    neutral=NEUTRAL,
    check=provider_faults,
)
