"""DeepSeek: what YAML may say of it, and what it takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, Parameter, parameters
from runner.engines.preset import preset_engine
from runner.engines.sdk import NEUTRAL, ProviderSettings, provider_faults
from runner.spec import EngineSettings, Model

ADDRESS = "https://api.deepseek.com"


class DeepSeek(ProviderSettings):
    """DeepSeek's API."""

    kind: Literal["deepseek"] = "deepseek"
    """DeepSeek's API."""
    api_key_env: str = Field("DEEPSEEK_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks DeepSeek; raises as `require_ready` does."""
    return preset_engine(KIND, settings, model, ADDRESS, context.notes)


_THINKING = "without effect while the model thinks"

KIND = EngineKind(
    settings=DeepSeek,
    capabilities=Capabilities(
        tasks=frozenset({"chat"}),
        sampling=parameters(
            "max_tokens",
            "stop",
            "tools",
            "tool_choice",
            "passthrough",
            temperature=Parameter("temperature", at_most=2.0, note=_THINKING),
            top_p=Parameter("top_p", note=_THINKING),
            logprobs=Parameter("logprobs", note="not while the model thinks"),
            top_logprobs=Parameter("top_logprobs", note="not while the model thinks"),
            presence_penalty=Parameter("presence_penalty", note=_THINKING),
            frequency_penalty=Parameter("frequency_penalty", note=_THINKING),
            reasoning_effort=Parameter("reasoning_effort", note="low, high or max"),
        ),
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=64,
        shared=True,
        features=frozenset({"stream"}),
    ),
    factory="runner.engines.deepseek:create",
    summary="DeepSeek's API",
    neutral=NEUTRAL,
    check=provider_faults,
)
