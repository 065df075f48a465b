"""What a Parquet value is in Python: a 32-bit float as it was written, and no number that isn't finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import starmap
from typing import Any, TypeAlias

from runner.data.table import BadRecordError
from runner.narrow_floats import shortest

Convert: TypeAlias = Callable[[Any], Any]


def converter(kind: Any) -> Convert | None:
    """Return what makes a value of an Arrow type one of a row; None where `to_pylist` does.

    It raises `BadRecordError` for NaN and infinity, which JSON Lines can't hold either.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_floating(kind):
        return {16: partial(_float, form="e"), 32: partial(_float, form="f")}.get(kind.bit_width, _finite)
    if types.is_dictionary(kind):
        return converter(kind.value_type)
    if types.is_map(kind):
        return _pairs(converter(kind.key_type), converter(kind.item_type))
    if _is_list(kind):
        inner = converter(kind.value_type)
        return None if inner is None else partial(_list, inner=inner)
    if types.is_struct(kind):
        fields = {field.name: one for field in kind if (one := converter(field.type)) is not None}
        return partial(_struct, fields=fields) if fields else None
    return None


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    names = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(test(kind) for name in names if (test := getattr(pa.types, name, None)) is not None)


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise BadRecordError(f"{value} is not a JSON number; store null for a missing value")
    return value


def _float(given: Any, form: str) -> float | None:
    """Return a number of fewer bits than Python's as the decimal that it was written as."""
    return None if _finite(given) is None else shortest(float(given), form)


def _list(values: list[Any] | None, inner: Convert) -> list[Any] | None:
    return None if values is None else [inner(value) for value in values]


def _struct(values: dict[str, Any] | None, fields: dict[str, Convert]) -> dict[str, Any] | None:
    if values is None:
        return None
    return {name: fields[name](value) if name in fields else value for name, value in values.items()}


def _pairs(key: Convert | None, item: Convert | None) -> Convert:
    def pairs(values: list[tuple[Any, Any]] | None) -> list[tuple[Any, Any]] | None:
        return None if values is None else list(starmap(pair, values))

    def pair(name: Any, value: Any) -> tuple[Any, Any]:
        return (key(name) if key else name), (item(value) if item else value)

    return pairs
