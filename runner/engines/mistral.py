"""Mistral's models: what YAML may say of them, and what they take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, Parameter, parameters
from runner.engines.remote import EmbeddingSettings
from runner.engines.sdk import NEUTRAL, ProviderSettings, SdkEngine, require_ready, rooted_faults
from runner.spec import EngineSettings, Model


class Mistral(EmbeddingSettings, ProviderSettings):
    """Mistral's API, through its own SDK."""

    kind: Literal["mistral"] = "mistral"
    """Mistral's API, through its SDK; mistral.rs is `mistralrs`."""
    api_key_env: str = Field("MISTRAL_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks Mistral; raises as `require_ready` does."""
    assert isinstance(settings, Mistral)
    require_ready(KIND, settings, model)
    from runner.engines.mistral_client import MistralClient

    return SdkEngine(MistralClient(settings, model, context.notes), settings)


KIND = EngineKind(
    settings=Mistral,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "embed"}),
        sampling=parameters(
            "top_p",
            "top_k",
            "max_tokens",
            "min_tokens",
            "stop",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "tools",
            "tool_choice",
            "reasoning_effort",
            "passthrough",
            temperature=Parameter("temperature", at_most=1.5),
            n=Parameter("n", note="not for every model"),
            logprobs=Parameter("logprobs", note="not for every model"),
            top_logprobs=Parameter("top_logprobs", note="not for every model"),
            seed="random_seed",
            json_schema="response_format",
        ),
        # Its own default differs from model to model.
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=32,
        shared=True,
        features=frozenset({"stream", "images"}),
    ),
    factory="runner.engines.mistral:create",
    summary="Mistral's API, through its SDK",
    distribution="mistralai",
    extra="mistral",
    neutral=NEUTRAL,
    check=rooted_faults,
)
