"""The engine kinds there are: ours by name, others through the entry points `runner.engines`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from runner.engines.base import EngineKind

_BUILT_IN = {
    "mistralrs": "runner.engines.mistralrs",
    "openai_compatible": "runner.engines.openai_compatible",
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
