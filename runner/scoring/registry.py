"""The scorer kinds there are."""

from __future__ import annotations

from functools import cache
from importlib import import_module

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
    return {name: import_module(module).KIND for name, module in _BUILT_IN.items()}
