"""What text may stand for where a number, a boolean or nothing is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runner.config.document import Key, dotted
from runner.config.interpolation import places_of
from runner.config.subschema import branch, inner_schema, subschema, value_at
from runner.engines.auto import AUTO
from runner.errors import Fault
from runner.spec import EngineSettings
from runner.spec.exact import boolean_of, number_of
from runner.values import Json

NOTHING = "None"
"""How Python spells null; in YAML it is text."""

_NUMBERS = {"integer", "number"}
_FREE = {"prompt", "target", "regex"}
"""Keys of text that may well be this word."""


def read_values(config: dict[str, Json], places: Iterable[Key]) -> None:
    """Read the texts of the environment that stand at *places*, or below, as the values that belong there."""
    for place in places:
        found = value_at(config, place)
        for rest in places_of(found, ""):
            _read_value(config, (*place, *rest))


def _read_value(config: dict[str, Json], place: Key) -> None:
    text = value_at(config, place)
    types = {_type(one) for one in _options(_schema_at(place, config))}
    if "text" in types or not isinstance(text, str):
        return
    read = number_of(text) if types & _NUMBERS else None
    if read is None and "boolean" in types:
        read = boolean_of(text)
    if read is not None:
        holder: Any = value_at(config, place[:-1])
        holder[place[-1]] = read


def _schema_at(place: Key, config: dict[str, Json]) -> dict[str, Any]:
    """Return the schema of what belongs at *place*, be the engine still to be chosen."""
    engine = config.get("engine")
    if place[:1] == ("engine",) and isinstance(engine, dict) and engine.get("kind") == AUTO:
        return inner_schema(EngineSettings.model_json_schema(), place[-1])
    return inner_schema(subschema(place[:-1], config), place[-1])


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    schema = branch(schema, None) if "$ref" in schema else schema
    if "anyOf" not in schema:
        return [schema]
    return [option for one in schema["anyOf"] for option in _options(one)]


def _type(schema: dict[str, Any]) -> str:
    """Return an option's type; ``text`` for one that takes any text."""
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "const"}:
        return "text"
    return str(schema.get("type", ""))


def spelled_nothing(config: dict[str, Json], source: Callable[[Key], str]) -> list[Fault]:
    """Return a fault for each text ``None`` that would be taken for a name where null is meant."""
    return [
        Fault(dotted(place), "None is text here", null_hint(place, config), source(place))
        for place in places_of(config, NOTHING)
        if value_at(config, place) == NOTHING
        and _FREE.isdisjoint(place)
        and {"text", "null"} <= {_type(one) for one in _options(_schema_at(place, config))}
    ]


def null_hint(place: Key, config: dict[str, Json]) -> str:
    """Return how to say at *place* that there is no value."""
    null = "null" in {_type(one) for one in _options(_schema_at(place, config))} or len(place) == 1
    return "write null, without quotes" if null else "leave the key out for its default"
