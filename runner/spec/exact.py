"""Keeps numbers, booleans and text apart where pydantic would read one as another.

Booleans and numbers are never exchanged. A whole float counts as an integer. Text counts as a number only
where a row fills it in; words such as `yes` and `off`, which are text in YAML 1.2, still count as booleans.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import ValidationInfo

FILLED = "filled by a row"
"""Validation context of what a row gives: its text is a value, whatever it looks like."""

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_MOST_DIGITS = 400
"""More digits than any number has that a float or a 64-bit integer holds."""
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y", "t"), True),
    **dict.fromkeys(("false", "no", "off", "n", "f"), False),
}
_EXACT_FLOATS = 2**53
"""Up to here a float stands for one integer alone."""


def number_of(text: str) -> int | float | None:
    """Return the number that *text* spells in decimal, or None."""
    text = text.strip()
    if len(text) > _MOST_DIGITS or not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def boolean_of(text: str) -> bool | None:
    """Return the boolean that the word *text* stands for, or None; 1 and 0 are numbers."""
    return _BOOLEANS.get(text.strip().lower())


def _number(value: Any, info: ValidationInfo) -> Any:
    read = number_of(value) if info.context == FILLED and isinstance(value, str) else None
    return value if read is None else read


def _whole(value: Any, info: ValidationInfo) -> Any:
    value = _number(value, info)
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOATS
    return int(value) if whole else value


def _boolean(value: Any, _: ValidationInfo) -> Any:
    read = boolean_of(value) if isinstance(value, str) else None
    return value if read is None else read


_READERS: dict[str, Callable[[Any, ValidationInfo], Any]] = {
    "int": _whole,
    "float": _number,
    "bool": _boolean,
}
_SCHEMAS = ("schema", "items_schema", "values_schema", "extras_schema", "definitions")
"""Keys of pydantic's schemas that hold others; those of a map's keys, which YAML has as text, stay lax."""


def exact(schema: Any) -> Any:
    """Return pydantic's *schema* of a type with its numbers and booleans made exact."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(exact, schema))
    if not isinstance(schema, dict) or schema.get("strict") is True:
        return schema
    if (reader := _READERS.get(schema.get("type", ""))) is not None:
        strict: Any = {**schema, "strict": True}
        function = {"type": "with-info", "function": reader}
        return {
            "type": "function-before",
            "function": function,
            "schema": strict,
            "json_schema_input_schema": strict,
        }
    if schema.get("type") == "union":
        types = {_type_of(one) for one in schema["choices"]}
        return {**schema, "choices": [_beside(one, types) for one in schema["choices"]]}
    made = {key: exact(value) if key in _SCHEMAS else value for key, value in schema.items()}
    for key in ("fields", "choices"):
        if isinstance(schema.get(key), dict):
            made[key] = {name: exact(one) for name, one in schema[key].items()}
        elif key in schema:
            made[key] = exact(schema[key])
    return made


def _type_of(schema: Any) -> str:
    return schema.get("type", "") if isinstance(schema, dict) else ""


def _beside(schema: Any, types: set[str]) -> Any:
    """Make one of several types exact; it leaves to the others what is theirs as it is written."""
    kind = _type_of(schema)
    if kind in _READERS and ("float" if kind == "int" else "str") in types:
        return {**schema, "strict": True}
    return exact(schema)
