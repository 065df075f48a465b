"""What the JSON Schema of an experiment says of one place in a config."""

from __future__ import annotations

from functools import cache
from typing import Any

from runner.config.document import Key
from runner.schema import experiment_type
from runner.values import Json


@cache
def _schema() -> dict[str, Any]:
    return experiment_type().model_json_schema()


def value_at(config: Json, place: Key) -> Json:
    """Return what stands at *place* in *config*, or the single value that stands above it."""
    value = config
    for part in place:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return value
    return value


def subschema(place: Key, config: Json) -> dict[str, Any]:
    """Return the JSON Schema of what belongs at *place*; unions are decided by the config's `kind`."""
    value: Json = config
    schema = branch(_schema(), value)
    for part in place:
        value = value_at(value, (part,))
        schema = branch(inner_schema(schema, part), value)
    return schema


def inner_schema(schema: dict[str, Any], part: str | int) -> dict[str, Any]:
    """Return the schema of one key of a map, or one item of a list."""
    inner = schema.get("properties", {}).get(part)
    if inner is None:
        named = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        inner = schema.get("items") if isinstance(part, int) else named
    return inner if isinstance(inner, dict) else {}


def branch(schema: dict[str, Any], value: Json) -> dict[str, Any]:
    """Follow references, and a union's branch where *value* tells which."""
    while True:
        if "$ref" in schema:
            schema = _schema()["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
            continue
        mapping = schema.get("discriminator", {}).get("mapping", {})
        kind = value.get("kind") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind in mapping:
            schema = {"$ref": mapping[kind]}
            continue
        branches = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
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


def expected(schema: dict[str, Any]) -> str:
    """Return in words what *schema* takes."""
    if "$ref" in schema:
        schema = branch(schema, None)
    if "anyOf" in schema or "oneOf" in schema:
        every = schema.get("anyOf") or schema["oneOf"]
        branches = [one for one in every if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(expected(one) for one in branches))
    if "enum" in schema:
        return "one of " + ", ".join(str(item) for item in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"a list (each {expected(schema.get('items', {}))})"
    return _expected_single(schema)


def _expected_single(schema: dict[str, Any]) -> str:
    if "patternErrorMessage" in schema:
        return str(schema["patternErrorMessage"])
    text = _NAMES.get(schema.get("type", ""), "a value")
    bounds = [f"{words} {_plain(schema[name])}" for name, words in _BOUNDS if name in schema]
    if "pattern" in schema:
        bounds.append(f"that matches {schema['pattern']}")
    if schema.get("minLength") == 1:
        bounds.append("that isn't empty")
    return " ".join([text, " and ".join(bounds)]).strip()


def _plain(number: float) -> str:
    """Return a number without exponent, and without a fraction of 0."""
    return str(int(number)) if number == int(number) else f"{number:g}"
