"""The name under which a model takes the keys and values of the tokens that it has read."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_origin

from transformers import DynamicCache
from transformers.cache_utils import CacheLayerMixin

_NAMES = ("past_key_values", "cache")
"""The parameter's name before transformers 5.24, and since."""
_OLDER = {tuple, list}
"""What some models still declare, although they take the cache object."""


def cache_parameter(network: Any) -> str | None:
    """Return the parameter of a model's forward call that takes a `DynamicCache` of keys and values.

    None for a model that keeps none: a recurrent one has a state in their place, which can't be batched here.
    """
    parameters = inspect.signature(network.forward).parameters
    name = next((name for name in _NAMES if name in parameters), None)
    if name is None or not _admits(parameters[name].annotation):
        return None
    layers = DynamicCache(config=network.config).layers
    return name if any(isinstance(layer, CacheLayerMixin) for layer in layers) else None


def _admits(annotation: Any) -> bool:
    """Tell whether a parameter of this type takes a `DynamicCache`."""
    if annotation is inspect.Parameter.empty or isinstance(annotation, str):
        return True
    kinds = {get_origin(kind) or kind for kind in get_args(annotation) or (annotation,)}
    return not kinds.isdisjoint(_OLDER) or any(issubclass(DynamicCache, kind) for kind in kinds)
