"""Values of NumPy, Arrow, pandas, polars, PyTorch and pydantic in plain Python.

None of these is imported here: a value is recognised by the methods that its library documents.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from runner.errors import ConfigError, Fault
from runner.narrow_floats import shortest

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_EXPORTS = ("as_py", "to_pylist", "to_dicts", "tolist", "to_list")
"""Methods for a plain value: of Arrow's scalars and columns, polars' tables, NumPy's and others' arrays."""
_BUFFERS = (bytes, bytearray, memoryview)
_NARROW = {"float": "f", "float32": "f", "halffloat": "e", "float16": "e", "bfloat16": "f"}
"""Types of numbers with fewer digits than Python's, as NumPy, PyTorch and Arrow name them -> `struct`'s."""
_MOST_DEPTH = 100
_SCHEMAS = ("json_schema", "parameters")
"""Names under which a Python type stands for its JSON Schema."""


def native(value: Any, depth: int = 0) -> Any:
    """Return *value* with all its parts in plain Python; what has no plain form, such as an image, stays."""
    if type(value) in _PLAIN or depth > _MOST_DEPTH:
        return value
    value = converted(value)
    if type(value) in {list, tuple}:
        return type(value)(native(one, depth + 1) for one in value)
    if type(value) is dict:
        return {converted(name): native(one, depth + 1) for name, one in value.items()}
    return value


def converted(value: Any) -> Any:
    """Return *value* in plain Python, its parts as they are."""
    if type(value) in _PLAIN or isinstance(value, _BUFFERS):
        return value
    if isinstance(value, type):
        return value
    if isinstance(value, str | int | float):
        base = next(one for one in (str, int, float) if isinstance(value, one))
        return str.__str__(value) if base is str else base(value)
    return dict(value) if isinstance(value, Mapping) else _exported(value)


def _exported(value: Any) -> Any:
    if (export := _export_of(value)) is not None:
        found = export()
        return _shortest(found, _narrow(value)) if _narrow(value) else found
    if _columns(value):
        return list(value.to_dict("records"))  # pandas
    if callable(dump := getattr(value, "model_dump", None)):
        return dump(mode="json", by_alias=True, exclude_none=True)
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    is_plain = isinstance(value, list | tuple) or not isinstance(value, Sequence)
    return value if is_plain else list(value)


def _columns(value: Any) -> list[str]:
    """Return the names of a table's columns; none of anything else."""
    names = getattr(value, "column_names", None)  # Arrow, datasets
    if names is None and hasattr(value, "to_dict"):
        names = getattr(value, "columns", None)  # pandas, polars
    return [str(name) for name in names] if names is not None and not callable(names) else []


def require_column(value: Any, name: str) -> None:
    """Refuse a table where many inputs are expected.

    Raises:
        ConfigError: it is one; names its columns.
    """
    if not isinstance(value, type) and (columns := _columns(value)):
        problem = f"a table given, expected one input each; its columns: {', '.join(columns)}"
        hint = f"name a column, such as table[{columns[0]!r}]; of pairs, zip(table[...], table[...])"
        raise ConfigError([Fault(name, problem, hint)])


def is_single(value: Any) -> bool:
    """Tell whether a value of another library is one value, not a column of them."""
    return hasattr(value, "as_py") or getattr(value, "shape", None) == ()


def schema_of(value: Any, place: str) -> Any:
    """Return the JSON Schema of a Python type where *place* takes one; all else as it is.

    A type is a pydantic class, which is one anywhere, a dataclass, a TypedDict, an enum, or what these are
    parts of.

    Raises:
        ConfigError: it is a type that has none.
    """
    is_type = isinstance(value, type | TypeAdapter) or get_origin(value) is not None
    is_wanted = place.rpartition(".")[2] in _SCHEMAS or hasattr(value, "model_json_schema")
    if not (is_type and is_wanted):
        return value
    try:
        return (value if isinstance(value, TypeAdapter) else TypeAdapter(value)).json_schema()
    except PydanticUserError as error:
        name = getattr(value, "__name__", str(value))
        raise ConfigError([
            Fault(place, f"{name} has no JSON Schema: {str(error).partition(chr(10))[0]}")
        ]) from None


def _export_of(value: Any) -> Any:
    """Return the method that makes a plain value of one of another library."""
    methods = (getattr(value, name, None) for name in _EXPORTS)
    return next((method for method in methods if callable(method)), None)


def _narrow(value: Any) -> str:
    """Return how `struct` packs the numbers of an array with fewer digits than Python's, else nothing."""
    kind = getattr(value, "dtype", None)
    kind = getattr(value, "type", None) if kind is None else kind
    return _NARROW.get(str(kind).rpartition(".")[2], "")


def _shortest(value: Any, form: str) -> Any:
    """Return such numbers as they were written: 0.7, not 0.699999988079071."""
    if isinstance(value, list):
        return [_shortest(one, form) for one in value]
    return shortest(value, form) if isinstance(value, float) else value
