"""The engine kinds there are: ours by name, others through the entry points `runner.engines`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from runner.engines.base import EngineKind

_BUILT_IN = {
    "mistralrs": "runner.engines.mistralrs",
    "openai_compatible": "runner.engines.openai_compatible",
    "vllm": "runner.engines.vllm",
    "sglang": "runner.engines.sglang",
    "vllm_offline": "runner.engines.vllm_offline",
    "sglang_offline": "runner.engines.sglang_offline",
    "candle_vllm": "runner.engines.candle_vllm",
    "openllm": "runner.engines.openllm",
    "openai": "runner.engines.openai",
    "anthropic": "runner.engines.anthropic",
    "mistral": "runner.engines.mistral",
    "google": "runner.engines.google",
    "together": "runner.engines.together",
    "fireworks": "runner.engines.fireworks",
    "xai": "runner.engines.xai",
    "deepseek": "runner.engines.deepseek",
    "transformers": "runner.engines.transformers",
    "fake": "runner.engines.fake",
}

NEUTRAL = frozenset({"kind", "concurrency", "timeout", "max_attempts"})
"""Settings of every kind that are not part of a request key's arguments."""


@cache
def engine_kinds() -> dict[str, EngineKind]:
    """Return every registered kind by name."""
    kinds: dict[str, EngineKind] = {name: import_module(module).KIND for name, module in _BUILT_IN.items()}
    for entry in entry_points(group="runner.engines"):
        kinds[entry.name] = entry.load()
    return kinds
