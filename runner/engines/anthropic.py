"""Anthropic's models: what YAML may say of them, and what would stop them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, Parameter, parameters
from runner.engines.sdk import NEUTRAL, ProviderSettings, SdkEngine, require_ready, rooted_faults
from runner.errors import Fault
from runner.spec import EngineSettings, Model

MAX_TOKENS = 8192
"""Sent where nobody set max_tokens: the API has no default of its own."""


class Anthropic(ProviderSettings):
    """Anthropic's API, through its own SDK."""

    kind: Literal["anthropic"] = "anthropic"
    """Claude models, asked through Anthropic's SDK."""
    api_key_env: str = Field("ANTHROPIC_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""
    legacy_sampling: bool = False
    """Ask as the API was in 2023, with temperature, top_p and top_k; only older models honour these."""

    def own_headers(self) -> dict[str, str]:
        """Return the headers that the engine sends by itself; its SDK sends the API's version."""
        return {**super().own_headers(), "anthropic-version": "engine.legacy_sampling"}


_NOW = Capabilities(
    tasks=frozenset({"chat"}),
    sampling=parameters(
        "max_tokens",
        "tools",
        "tool_choice",
        "passthrough",
        stop="stop_sequences",
        json_schema="output_config.format",
        reasoning_effort=Parameter("output_config.effort", note="with adaptive thinking; none turns it off"),
        continue_final_message=Parameter("messages", note="only models that go on from a begun answer"),
    ),
    defaults={"max_tokens": MAX_TOKENS},
    concurrency=32,
    shared=True,
    features=frozenset({"stream", "images"}),
)

# Newer ones among the old models refuse temperature and top_p together: no top_p by default.
_LEGACY = replace(
    _NOW,
    sampling={
        **parameters("top_p", "top_k", temperature=Parameter("temperature", at_most=1)),
        **_NOW.sampling,
    },
    defaults={"temperature": 1.0, **_NOW.defaults},
)


def widened(settings: EngineSettings) -> Capabilities:
    """Return what is honoured, which the older version of the API has more of."""
    assert isinstance(settings, Anthropic)
    return _LEGACY if settings.legacy_sampling else _NOW


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find variables that are unset or unfit, and what of the model can't be honoured."""
    faults = rooted_faults(settings, model)
    if "max_tokens" in model.omit:
        faults.append(Fault("model.omit", "anthropic can't be asked without max_tokens", "leave it out"))
    return faults


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine that asks Anthropic.

    Raises:
        EngineStartError: the SDK is not installed, or a variable that it needs is not set.
    """
    assert isinstance(settings, Anthropic)
    require_ready(KIND, settings, model)
    from runner.engines.anthropic_client import AnthropicClient

    return SdkEngine(AnthropicClient(settings, model, context.notes), settings)


KIND = EngineKind(
    settings=Anthropic,
    capabilities=_NOW,
    widened=widened,
    factory="runner.engines.anthropic:create",
    summary="Anthropic's Claude models, through its SDK",
    distribution="anthropic",
    extra="anthropic",
    neutral=NEUTRAL,
    check=check,
)
