"""Fireworks AI: what YAML may say of it, and what it takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import COMPLETION_NEEDS, Capabilities, Parameter, parameters
from runner.engines.preset import preset_engine
from runner.engines.sdk import NEUTRAL, ProviderSettings, provider_faults
from runner.spec import EngineSettings, Model

ADDRESS = "https://api.fireworks.ai/inference/v1"


class Fireworks(ProviderSettings):
    """Fireworks AI's API."""

    kind: Literal["fireworks"] = "fireworks"
    """Fireworks AI's API."""
    api_key_env: str = Field("FIREWORKS_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks Fireworks AI; raises as `require_ready` does."""
    return preset_engine(KIND, settings, model, ADDRESS, context.notes)


KIND = EngineKind(
    settings=Fireworks,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete"}),
        sampling=parameters(
            "top_p",
            "min_p",
            "ignore_eos",
            "seed",
            "n",
            "logprobs",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "tools",
            "tool_choice",
            "passthrough",
            temperature=Parameter("temperature", at_most=2.0),
            top_k=Parameter("top_k", at_most=100),
            max_tokens=Parameter("max_tokens", note="lowered to what fits the context"),
            stop=Parameter("stop", count=4),
            top_logprobs=Parameter("top_logprobs", at_most=5),
            repetition_penalty=Parameter("repetition_penalty", at_most=2.0),
            reasoning_effort=Parameter("reasoning_effort", note="none, low, medium or high"),
            json_schema="response_format",
        ),
        # Sent, since what is left out may come from each model's own generation config; of top_k no value is
        # documented to be none.
        defaults={"temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0},
        concurrency=64,
        shared=True,
        lacks={"complete": frozenset({"tools", "tool_choice", "reasoning_effort"})},
        needs=COMPLETION_NEEDS,
        features=frozenset({"stream", "images", "token_ids"}),
    ),
    factory="runner.engines.fireworks:create",
    summary="Fireworks AI's API",
    neutral=NEUTRAL,
    check=provider_faults,
)
