"""NaN and infinity in what servers send: the model has overflowed, and they are never taken as numbers.

What responses are stored with is `runner.finite`'s.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, isfinite
from typing import Any, get_args

from runner.errors import IncompleteResponseError
from runner.narrow_floats import floats

_ALTERNATIVES = frozenset({"top_logprobs", "topCandidates"})


def is_non_finite(value: Any) -> bool:
    """Tell whether a value is NaN or infinite."""
    return isinstance(value, float) and not isfinite(value)


def non_finite_in(value: Any) -> str | None:
    """Return how the first number in a value is spelled that is NaN or infinite."""
    if is_non_finite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 - only NaN is unequal to itself
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((odd for one in value if (odd := non_finite_in(one)) is not None), None)
    return None


@lru_cache(maxsize=256)
def takes_numbers(form: Any) -> bool:
    """Tell whether a type is that of a float, or of a container of floats."""
    return form is float or any(map(takes_numbers, get_args(form)))


def require_finite(vector: bytes) -> None:
    """Make sure that a vector, float32 in little-endian order, has numbers alone.

    Raises:
        IncompleteResponseError: it holds NaN or infinity.
    """
    numbers = floats(vector)
    if not isfinite(sum(numbers)):  # no sum of float32 exceeds what a float holds
        raise IncompleteResponseError(f"a vector holds {non_finite_in(numbers)}, which is no number")


def without_impossible(value: Any) -> Any:
    """Return decoded JSON without the alternatives to a token that have the log probability -Infinity."""
    if isinstance(value, list):
        return [without_impossible(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _possible(inner) if name in _ALTERNATIVES else without_impossible(inner)
        for name, inner in value.items()
    }


def _possible(value: Any) -> Any:
    """Return alternatives, in lists or as token -> log probability, without those that are impossible."""
    if isinstance(value, list):
        return [_possible(one) for one in value if not _is_impossible(one)]
    if isinstance(value, dict):
        return {name: _possible(one) for name, one in value.items() if one != -inf}
    return value


def _is_impossible(one: Any) -> bool:
    return isinstance(one, dict) and -inf in (one.get("logprob"), one.get("logProbability"))
