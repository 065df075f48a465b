"""Google's Gemini models: what YAML may say of them, and what they take."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, Parameter, parameters
from runner.engines.remote import EmbeddingSettings
from runner.engines.sdk import NEUTRAL, ProviderSettings, SdkEngine, require_ready, rooted_faults
from runner.errors import Fault
from runner.spec import EngineSettings, Model

_KEY, _OTHER_KEY = "GEMINI_API_KEY", "GOOGLE_API_KEY"


class Google(EmbeddingSettings, ProviderSettings):
    """Google's Gemini API, through its own SDK."""

    kind: Literal["google"] = "google"
    """Google's Gemini API, through its SDK."""
    api_key_env: str = Field("GEMINI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""
    api_version: str = Field("v1beta", pattern=r"^v[0-9][a-z0-9]*$")
    """Version of the API; what is new is often in v1beta alone."""

    def own_headers(self) -> dict[str, str]:
        """Return the headers that the engine sends by itself; Google has one of its own for the key."""
        return {"x-goog-api-key": "engine.api_key_env"}

    def variable_faults(self) -> list[Fault]:
        """Find variables that are unset; where Google's SDK would read another one, name that."""
        faults = super().variable_faults()
        if self.api_key_env != _KEY or os.environ.get(_KEY) or not os.environ.get(_OTHER_KEY):
            return faults
        hint = f"{_OTHER_KEY} is set: write engine.api_key_env={_OTHER_KEY}"
        return [replace(one, hint=hint) if one.place == "engine.api_key_env" else one for one in faults]


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks Google; raises as `require_ready` does."""
    assert isinstance(settings, Google)
    require_ready(KIND, settings, model)
    from runner.engines.google_client import GoogleClient

    return SdkEngine(GoogleClient(settings, model, context.notes), settings)


KIND = EngineKind(
    settings=Google,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "embed"}),
        sampling=parameters(
            "top_p",
            "top_k",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "tools",
            "passthrough",
            temperature=Parameter("temperature", at_most=2),
            max_tokens=Parameter("max_output_tokens", note="reasoning counts too"),
            stop=Parameter("stop_sequences", count=5),
            n=Parameter("candidate_count", at_most=8, note="not for every model"),
            logprobs=Parameter("response_logprobs", note="not for every model"),
            top_logprobs=Parameter("logprobs", note="not for every model"),
            tool_choice="tool_config",
            json_schema="response_json_schema",
            reasoning_effort=Parameter("thinking_config.thinking_level", note="none sends a budget of 0"),
        ),
        # Its own top_k and top_p differ from model to model; temperature is 1 for all.
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=32,
        shared=True,
        features=frozenset({"stream", "images"}),
    ),
    factory="runner.engines.google:create",
    summary="Google's Gemini API, through its SDK",
    distribution="google-genai",
    extra="google",
    neutral=NEUTRAL,
    check=rooted_faults,
)
