"""Says in users' words what pydantic finds wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import ValidationError

from runner.config.document import Key, dotted
from runner.config.keys import FRONT, LATER_KEYS, nearest
from runner.config.values import brief
from runner.errors import Fault
from runner.schema import experiment_type
from runner.values import Json

_TAGS = {"union_tag_invalid", "union_tag_not_found"}
_LINES = {"value_error", "assertion_error"}


@cache
def _schema() -> dict[str, Any]:
    return experiment_type().model_json_schema()


def explain(
    error: ValidationError, config: dict[str, Json], written: dict[str, Json], source: Callable[[Key], str]
) -> list[Fault]:
    """Return a fault for each place that is wrong.

    Args:
        error: what pydantic raised.
        config: what was validated.
        written: the same before interpolations were resolved: what may be shown.
        source: says where the value at a place was written.
    """
    faults: dict[Key, Fault] = {}
    for one in error.errors(include_url=False):
        place = _place(one["loc"], one["type"], config)
        if place not in faults:
            problem, hint = _problem(one, place, config, written)
            shown = (*place, "kind") if one["type"] in _TAGS else place
            faults[place] = Fault(dotted(shown) or "experiment", problem, hint, source(shown))
    deeper = set(faults)
    return [
        fault for place, fault in faults.items() if not any(place == d[: len(place)] != d for d in deeper)
    ]


def _place(loc: tuple[int | str, ...], kind: str, config: Json) -> Key:
    """Return *loc* without the names pydantic adds for the branches of unions."""
    place: list[str | int] = []
    value = config
    for part in loc:
        if isinstance(value, dict) and part in value and value.get("kind") != part:
            place.append(part)
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int):
            place.append(part)
            value = value[part] if part < len(value) else None
        elif isinstance(value, dict) and value.get("kind") != part and kind in {"missing", "extra_forbidden"}:
            place.append(part)
            value = None
    return tuple(place)


def _problem(one: Any, place: Key, config: dict[str, Json], written: dict[str, Json]) -> tuple[str, str]:
    kind = one["type"]
    if kind == "extra_forbidden":
        known = [key for key in _properties(place[:-1], config) if key != "kind"]
        known += [] if place[:-1] else [key for key in FRONT if key not in known]
        return "unknown key", nearest(str(place[-1]), known)
    if kind == "missing":
        described = _subschema(place[:-1], config).get("properties", {}).get(place[-1], {})
        return f"missing, expected {_expected(_subschema(place, config))}", described.get("description", "")
    shown = brief(_shown(written, place))
    if kind in _TAGS:
        kinds = list(_subschema(place, config).get("discriminator", {}).get("mapping", {}))
        given = (_shown(written, place) or {}).get("kind")
        if given is None:
            return "kind is missing", f"known: {', '.join(kinds)}"
        return f"there is no kind {brief(given)}", nearest(str(given), kinds)
    if kind in _LINES:
        reason = str(one["ctx"]["error"]).replace(str(one["input"]), str(_shown(written, place)))
        return f"{shown} given: {reason}", ""
    schema = _subschema(place, config)
    return f"{shown} given, expected {_expected(schema)}", _quoting(kind, one["input"])


def _quoting(kind: str, given: Json) -> str:
    single = isinstance(given, int | float)
    return "put it in quotes to make it text" if kind == "string_type" and single else ""


def _shown(written: Json, place: Key) -> Json:
    value = written
    for part in place:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return value
    return value


def _properties(place: Key, config: dict[str, Json]) -> list[str]:
    return list(_subschema(place, config).get("properties", {}))


def _subschema(place: Key, config: Json) -> dict[str, Any]:
    """Return the JSON Schema of what belongs at *place*; unions are decided by the config's `kind`."""
    value: Json = config
    schema = _branch(_schema(), value)
    for part in place:
        value = _shown(value, (part,))
        inner = schema.get("properties", {}).get(part)
        if inner is None:
            inner = schema.get("items") if isinstance(part, int) else schema.get("additionalProperties")
        schema = _branch(inner if isinstance(inner, dict) else {}, value)
    return schema


def _branch(schema: dict[str, Any], value: Json) -> dict[str, Any]:
    """Follow references, and a union's branch where *value* tells which."""
    while True:
        if "$ref" in schema:
            schema = _schema()["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
            continue
        mapping = schema.get("discriminator", {}).get("mapping", {})
        if isinstance(value, dict) and value.get("kind") in mapping:
            schema = {"$ref": mapping[value["kind"]]}
            continue
        branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
        fits = [b for b in branches if "$ref" in b or b.get("type") in _types(value)]
        if len(branches) == 1 or (len(fits) == 1 and isinstance(value, dict | list)):
            schema = (fits or branches)[0]
            continue
        return schema


def _types(value: Json) -> set[str]:
    if isinstance(value, dict):
        return {"object"}
    return {"array"} if isinstance(value, list) else set()


_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "a map",
    "null": "null",
}
_BOUNDS = (
    ("minimum", "of at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "of at most"),
    ("exclusiveMaximum", "below"),
)


def _expected(schema: dict[str, Any]) -> str:
    """Return in words what *schema* takes."""
    if "$ref" in schema:
        schema = _branch(schema, None)
    if "anyOf" in schema or "oneOf" in schema:
        every = schema.get("anyOf") or schema["oneOf"]
        branches = [branch for branch in every if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(_expected(branch) for branch in branches))
    if "enum" in schema:
        return "one of " + ", ".join(str(item) for item in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"a list (each {_expected(schema.get('items', {}))})"
    text = _NAMES.get(schema.get("type", ""), "a value")
    bounds = [f"{words} {schema[name]:g}" for name, words in _BOUNDS if name in schema]
    if "pattern" in schema:
        bounds.append(f"that matches {schema['pattern']}")
    if schema.get("minLength") == 1:
        bounds.append("that isn't empty")
    return " ".join([text, " and ".join(bounds)]).strip()


def later_keys(config: dict[str, Json], source: Callable[[Key], str]) -> list[Fault]:
    """Return a fault for each top-level key of what isn't built yet, and take it out of *config*."""
    found = [key for key in LATER_KEYS if key in config]
    faults = [Fault(key, f"`{key}` is not built yet", "", source((key,))) for key in found]
    for key in found:
        del config[key]
    return faults
