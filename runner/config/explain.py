"""Says in users' words what pydantic finds wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from runner.config.document import Key, dotted
from runner.config.keys import FRONT, GROUPS, LATER_KEYS, closest, nearest
from runner.config.subschema import branch, expected, inner_schema, subschema, value_at
from runner.config.texts import NOTHING, null_hint
from runner.config.values import brief, names_variables
from runner.errors import Fault
from runner.spec.exact import number_of
from runner.values import Json

_TAGS = {"union_tag_invalid", "union_tag_not_found"}
_UNKNOWN = "unknown key"
_LINES = {"value_error", "assertion_error"}
_SUCH_AS: dict[Key, str] = {
    ("model",): "such as model: tiny",
    ("prompt",): 'such as prompt: "{{ row.question }}"',
    ("dataset",): "such as dataset: rows.jsonl",
}
"""How to write what every experiment has."""


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
    meant = _meant((place for place, fault in faults.items() if fault.problem == _UNKNOWN), config)
    deeper = set(faults)
    return [
        fault
        for place, fault in faults.items()
        if place not in meant and not any(place == d[: len(place)] != d for d in deeper)
    ]


def _meant(unknown: Iterable[Key], config: dict[str, Json]) -> set[Key]:
    """Return the keys that *unknown* ones beside them are most likely meant to be, and that aren't given."""
    found = ((*place[:-1], closest(str(place[-1]), _properties(place[:-1], config))) for place in unknown)
    return {place for place in found if value_at(config, place) is None}


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
    kind, schema = one["type"], _schema_of(one["loc"], place, config)
    if kind == "extra_forbidden":
        return _UNKNOWN, _known_keys(place, config)
    if kind == "missing":
        described = subschema(place[:-1], config).get("properties", {}).get(place[-1], {})
        example = _SUCH_AS.get(place)
        problem = f"missing, expected {expected(schema)}" if example is None else f"must be given, {example}"
        return problem, described.get("description", "")
    if one["loc"][-1] == "[key]":
        return f"{place[-1]} can't be a name here", ""
    if names_variables(place):
        return f"expected {expected(schema)}", "what is given is not shown: it may be a key"
    value = value_at(written, place)
    if kind in _TAGS:
        return _unknown_kind(schema, value)
    problem = f"{brief(value)} given, expected {expected(schema)}"
    if kind in _LINES:
        problem = _told(str(one["ctx"]["error"]).replace(str(one["input"]), str(value)), value)
    return problem, null_hint(place, config) if value == NOTHING else _quoting(kind, one["input"], schema)


def _schema_of(loc: tuple[int | str, ...], place: Key, config: dict[str, Json]) -> dict[str, Any]:
    """Return the schema of what is wrong: of *place*, or of the key that a text there stands for."""
    schema = subschema(place, config)
    if not isinstance(value_at(config, place), str):
        return schema
    meant = [inner_schema(branch(one, None), loc[-1]) for one in schema.get("anyOf", ()) if "$ref" in one]
    return next(filter(None, meant), schema)


def _unknown_kind(schema: dict[str, Any], value: Json) -> tuple[str, str]:
    kinds = list(schema.get("discriminator", {}).get("mapping", {}))
    given = value.get("kind") if isinstance(value, dict) else None
    if given is None:
        return "kind is missing", f"known: {', '.join(kinds)}"
    return f"there is no kind {brief(given)}", nearest(str(given), kinds)


def _told(reason: str, value: Json) -> str:
    """Return a validator's own words, with the value in front where they don't tell it."""
    told = str(value) in reason or "(given: " in reason
    return reason if told else f"{brief(value)} given: {reason}"


def _known_keys(place: Key, config: dict[str, Json]) -> str:
    """Return a hint at what an unknown key may mean: that of another kind, or one like it."""
    kinds = _kinds_with(place, config)
    if kinds:
        given = dotted((*place[:-1], "kind"))
        return f"it belongs to kind {', '.join(kinds)}; {given} is {value_at(config, place[:-1])['kind']}"
    known = [key for key in _properties(place[:-1], config) if key != "kind"]
    if place[:-1]:
        return nearest(str(place[-1]), known)
    inside = [f"{group}.{place[0]}" for group in GROUPS if place[0] in _properties((group,), config)]
    if inside:
        return f"did you mean {' or '.join(inside)}?"
    return nearest(str(place[0]), [*known, *(key for key in FRONT if key not in known)])


def _kinds_with(place: Key, config: dict[str, Json]) -> list[str]:
    """Return the kinds that have the last key of *place*, where what holds it is one of several."""
    if len(place) < 2:  # noqa: PLR2004 - a key in a map in the config
        return []
    union = inner_schema(subschema(place[:-2], config), place[-2])
    kinds = union.get("discriminator", {}).get("mapping", {})
    return [kind for kind, ref in kinds.items() if place[-1] in branch({"$ref": ref}, None)["properties"]]


def _quoting(kind: str, given: Json, schema: dict[str, Any]) -> str:
    if kind == "string_type" and isinstance(given, int | float):
        return "put it in quotes to make it text"
    if isinstance(given, str) and number_of(given) is not None and _takes_numbers(schema):
        return "leave out the quotes to make it a number"
    return ""


def _takes_numbers(schema: dict[str, Any]) -> bool:
    return any(one.get("type") in {"integer", "number"} for one in (schema, *schema.get("anyOf", ())))


def _properties(place: Key, config: dict[str, Json]) -> list[str]:
    return list(subschema(place, config).get("properties", {}))


def later_keys(config: dict[str, Json], source: Callable[[Key], str]) -> list[Fault]:
    """Return a fault for each top-level key of what isn't built yet, and take it out of *config*."""
    found = [key for key in LATER_KEYS if key in config]
    faults = [Fault(key, f"`{key}` is not built yet", "", source((key,))) for key in found]
    for key in found:
        del config[key]
    return faults
