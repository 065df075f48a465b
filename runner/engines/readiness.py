"""The least that one can ask of an engine of weights: once it is answered, the engine is ready."""

from __future__ import annotations

from collections.abc import Mapping

from runner.values import Input, Request, Scope

_SMALLEST: Mapping[str, Input] = {
    "embed": "1",
    "classify": "1",
    "reward": "1",
    "score": {"pair": ["1", "1"]},
    "rerank": {"query": "1", "documents": ["1"]},
}
"""Of each task that needs a start of its own, the least one can ask."""


def smallest(task: str, probe: str) -> Request:
    """Return the least that tells whether an engine started for a task is ready.

    Args:
        task: what it was started for.
        probe: the task of a request for one token, where it was started to generate.
    """
    if (given := _SMALLEST.get(task)) is not None:
        return Request(task, given, {}, Scope({}, {}))
    content = "1" if probe == "complete" else ({"role": "user", "content": "1"},)
    return Request(probe, content, {"max_tokens": 1, "temperature": 0.0}, Scope({}, {}))
