"""NaN and infinity in responses that are stored: minus infinity counts as a log probability, others never."""

from __future__ import annotations

from math import isfinite, isnan
from typing import Any

from runner.errors import IncompleteResponseError

LEAST_LOGPROB = -9999.0
"""The log probability of a token that can't come, as vLLM reports it: JSON has no word for minus infinity."""


def finite(value: Any, *, logprob: bool = False) -> Any:
    """Return plain data with None for each NaN and infinity.

    Minus infinity in a field of log probabilities, which *logprob* says that *value* is, becomes
    `LEAST_LOGPROB`.
    """
    if isinstance(value, float):
        if isfinite(value):
            return value
        return LEAST_LOGPROB if logprob and not isnan(value) and value < 0 else None
    if isinstance(value, dict):
        return {name: finite(one, logprob=logprob or _of_logprobs(name)) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one, logprob=logprob) for one in value]
    return value


def finite_logprob(number: float) -> float:
    """Return a log probability as it is stored.

    Raises:
        IncompleteResponseError: it is NaN, or plus infinity.
    """
    found: float | None = finite(number, logprob=True)
    if found is None:
        raise IncompleteResponseError(f"a log probability is {number}, expected a finite number")
    return found


def _of_logprobs(name: Any) -> bool:
    return isinstance(name, str) and "logprob" in name.lower()
