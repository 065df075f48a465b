"""What the shared cache holds, by model and engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from runner.cache import ResponseCache
from runner.errors import UserError
from runner.jobs import read_job
from runner.runs import all_runs
from runner.values import Json

_RUNS = 50
"""Newest runs in which the names of local models are looked up."""


class _Part(msgspec.Struct):
    """The part of a stored request that says who was asked."""

    model: dict[str, Json]
    engine: dict[str, Json]


def stored(file: Path, names: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """Return how many responses there are by model and engine.

    Args:
        file: the cache.
        names: of local models by the hash of their weights.
    """
    decode = msgspec.json.Decoder(_Part).decode
    counts: Counter[tuple[str, str]] = Counter()
    with ResponseCache(file) as cache:
        for _, request in cache.requests():
            part = decode(request)
            counts[_model(part.model, names), str(part.engine["kind"])] += 1
    return counts


def _model(model: Mapping[str, Json], names: Mapping[str, str]) -> str:
    if "weights" in model:
        weights = str(model["weights"])
        return f"{names.get(weights, 'local weights')} ({weights[:8]})"
    revision = f"@{model['revision']}" if "revision" in model else ""
    return f"{model['name']}{revision}"


def model_names(runs: Path) -> dict[str, str]:
    """Return what the newest runs called the weights that requests name by their hash."""
    names: dict[str, str] = {}
    for run in all_runs(runs)[-_RUNS:]:
        for folder in run.jobs:
            with suppress(UserError):  # damaged, which `runner status` tells of
                point = read_job(folder).points[0]
                if (weights := point.scope.model.get("weights")) is not None:
                    names[str(weights)] = Path(point.declared["model"]["name"]).name
    return names
