"""The scorer kinds there are: ours by name, others through the entry points `runner.scorers`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint

from runner.plugins import code_of, load, plugins
from runner.scoring.base import ScorerKind
from runner.values import Json

_BUILT_IN = {
    "exact_match": "runner.scoring.exact_match",
    "regex": "runner.scoring.regex",
    "numeric": "runner.scoring.numeric",
    "loglikelihood": "runner.scoring.loglikelihood",
}


@cache
def scorer_kinds() -> dict[str, ScorerKind]:
    """Return every scorer kind by name.

    Raises:
        UserError: a package that adds one is broken.
    """
    kinds = {name: import_module(module).KIND for name, module in _BUILT_IN.items()}
    return kinds | {name: load(entry, ScorerKind) for name, entry in _added().items()}


@cache
def scorer_code(name: str) -> dict[str, Json] | None:
    """Return what names the code of a scorer kind; None for one that ships."""
    entry = _added().get(name)
    return None if entry is None else code_of(entry, scorer_kinds()[name])


@cache
def _added() -> dict[str, EntryPoint]:
    return plugins("runner.scorers", _BUILT_IN)
