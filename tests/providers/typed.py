"""Whether a request is what an SDK's own type of it says.

Not pydantic's `TypeAdapter`: the SDKs declare messages and tools as Iterable, which it checks only when
somebody iterates, and it lets keys pass that no type knows.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

_WRAPPED = (Required, NotRequired, Annotated)


def misfits(form: Any, value: Any, place: str = "body") -> list[str]:
    """Return what of *value* is not as *form* says: wrong types, missing keys, keys it doesn't know."""
    origin, inner = get_origin(form), get_args(form)
    if origin in _WRAPPED:
        return misfits(inner[0], value, place)
    if origin in {Union, UnionType}:
        found = [misfits(option, value, place) for option in inner]
        return min(found, key=len) if all(found) else []
    if is_typeddict(form):
        return _keyed(form, value, place)
    if origin is Literal or origin is None:
        fits = value in inner if origin is Literal else _plain(form, value)
        return [] if fits else [f"{place}: {value!r} is no {form}"]
    return _gathered(origin, inner, value, place)


def _gathered(origin: Any, inner: tuple[Any, ...], value: Any, place: str) -> list[str]:
    """Return the misfits of a map, or of what is some kind of list to its type."""
    if not isinstance(value, dict if origin is dict else list):
        return [f"{place}: {value!r} is no {origin}"]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [fault for key, item in items for fault in misfits(inner[-1], item, f"{place}.{key}")]


def _keyed(form: Any, value: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: {value!r} is no {form.__name__}"]
    hints = get_type_hints(form, include_extras=True)
    found = [f"{place}.{key}: unknown to {form.__name__}" for key in value if key not in hints]
    found += [f"{place}.{key}: missing" for key in form.__required_keys__ if key not in value]
    for key, item in value.items():
        if key in hints:
            found += misfits(hints[key], item, f"{place}.{key}")
    return found


def _plain(form: Any, value: Any) -> bool:
    if form is Any or form is object:
        return True
    if form is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if form is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if form in {None, NoneType} else isinstance(value, form)
