"""Google's Gemini models: what YAML may say of them, and what they take."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, Parameter, parameters
from runner.engines.remote import EmbeddingSettings
from runner.engines.sdk import NEUTRAL, ProviderSettings, SdkEngine, require_ready, rooted_faults
from runner.spec import EngineSettings, Model

_VARIABLE, _OTHER = "GEMINI_API_KEY", "GOOGLE_API_KEY"


class Google(EmbeddingSettings, ProviderSettings):
    """Google's Gemini API, through its own SDK."""

    kind: Literal["google"] = "google"
    """Google's Gemini API, through its SDK."""
    api_key_env: str = Field(_VARIABLE, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key; while GEMINI_API_KEY is not set, GOOGLE_API_KEY counts."""
    api_version: str = Field("v1beta", pattern=r"^v[0-9][a-z0-9]*$")
    """Version of the API; what is new is often in v1beta alone."""

    @property
    def key_variable(self) -> str:
        """The declared variable; while the default one is not set, the other name that Google has for it."""
        other = self.api_key_env == _VARIABLE and not os.environ.get(_VARIABLE) and os.environ.get(_OTHER)
        return _OTHER if other else self.api_key_env

    def own_headers(self) -> dict[str, str]:
        """Return the headers that the engine sends by itself; Google has one of its own for the key."""
        return {"x-goog-api-key": "engine.api_key_env"}


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
