"""The scorer kinds there are: ours by name, others through the entry points `runner.scorers`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from runner.scoring.base import ScorerKind

_BUILT_IN = {
    "exact_match": "runner.scoring.exact_match",
    "regex": "runner.scoring.regex",
    "numeric": "runner.scoring.numeric",
    "loglikelihood": "runner.scoring.loglikelihood",
}


@cache
def scorer_kinds() -> dict[str, ScorerKind]:
    """Return every scorer kind by name."""
    kinds = {name: import_module(module).KIND for name, module in _BUILT_IN.items()}
    return kinds | {entry.name: entry.load() for entry in entry_points(group="runner.scorers")}
