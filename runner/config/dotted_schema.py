"""The JSON Schema of dotted keys at a file's top level, such as `sampling.temperature`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from runner.config.keys import GROUPS, SETTINGS

AXIS: Final = {"type": ["array", "null"], "minItems": 1}
"""The values of one axis."""

_LATER = "#/$defs/Interpolation"


def dotted_keys(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the properties and the pattern properties that dotted keys are in *schema*, an experiment's.

    One level below a group every key is known, with its type; what lies deeper is judged when a file is
    composed.
    """
    properties: dict[str, Any] = {}
    patterns: dict[str, Any] = {r"^sweep\.": AXIS, r"^hydra\.sweeper\.params\.": {}}
    deeper: list[str] = []
    for head in (*GROUPS, *SETTINGS):
        for name, found in _below(schema, schema["properties"][head]).items():
            described = {one.get("description", "") for _, one in found}
            other = f"Depends on the kind of {head}."
            references = [{"$ref": pointer} for pointer, _ in found]
            properties[f"{head}.{name}"] = {
                "anyOf": [*references, {"type": "null"}],
                "description": described.pop() if len(described) == 1 else other,
            }
            if any(_holds_keys(one) for _, one in found):
                deeper.append(re.escape(f"{head}.{name}"))
    patterns[rf"^({'|'.join(deeper)})\."] = {}
    # Scorers have names of the user's own.
    scorer = schema["$defs"]["scorers"]["additionalProperties"]
    patterns[r"^scorers\.[^.]+$"] = scorer
    patterns[r"^scorers\.[^.]+\."] = {}
    return properties, patterns


def _below(schema: dict[str, Any], one: dict[str, Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return the keys that a map at one place may have -> their schemas, with pointers to them."""
    found: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {}
    for pointer, branch in _maps(schema, one, ""):
        for name, value in branch.get("properties", {}).items():
            if name != "defaults":
                found.setdefault(name, {}).setdefault(repr(value), (f"{pointer}/properties/{name}", value))
    return {name: list(values.values()) for name, values in found.items()}


def _holds_keys(one: dict[str, Any]) -> bool:
    """Tell whether a value may be a map or a list, whose items have keys of their own."""
    if one.get("$ref", _LATER) != _LATER or one.get("type") in {"object", "array"}:
        return True
    return any(map(_holds_keys, one.get("anyOf", ())))


def _maps(schema: dict[str, Any], one: dict[str, Any], pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the branches of a schema that are maps, with what refers to each."""
    if "$ref" in one:
        target: Any = schema
        for part in one["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from _maps(schema, target, one["$ref"])
    elif "properties" in one and pointer:
        yield pointer, one
    for index, branch in enumerate(one.get("anyOf", ())):
        yield from _maps(schema, branch, f"{pointer}/anyOf/{index}" if pointer else "")
