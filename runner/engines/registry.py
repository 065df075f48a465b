"""The engine kinds there are: ours by name, others through the entry points `runner.engines`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from runner.engines.base import EngineKind
from runner.engines.capabilities import Feature
from runner.plugins import code_of, load, plugins
from runner.values import Json

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


class EngineKinds(Mapping[str, EngineKind]):
    """Every kind by name, each imported when it is first asked for: a plan costs what its own engine does."""

    def __init__(self) -> None:
        self._added = plugins("runner.engines", _BUILT_IN)
        self._names = dict.fromkeys([*_BUILT_IN, *self._added])
        self._loaded: dict[str, EngineKind] = {}
        self._code: dict[str, dict[str, Json]] = {}

    def __getitem__(self, name: str) -> EngineKind:
        """Return a kind.

        Raises:
            KeyError: there is none of that name.
            UserError: the package that adds it is broken.
        """
        if name not in self._loaded:
            added = self._added.get(name)
            if added is None:
                self._loaded[name] = import_module(_BUILT_IN[name]).KIND
            else:
                kind = load(added, EngineKind)
                self._code[name] = code_of(added, kind)
                self._loaded[name] = kind
        return self._loaded[name]

    def code(self, name: str) -> dict[str, Json] | None:
        """Return what names the code of a kind, as it was loaded; None for one that ships."""
        return self._code[name] if name in self._added and self[name] else None

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def engine_kinds() -> EngineKinds:
    """Return every registered kind."""
    return EngineKinds()


def takers(feature: Feature) -> str:
    """Say which kinds have a feature."""
    names = [kind.name for kind in engine_kinds().values() if feature in kind.capabilities.features]
    return f"taken by: {', '.join(names)}"
