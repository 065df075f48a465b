"""The JSON Schema of a YAML file as users write it: choices by name, dotted keys, sweeps."""

from __future__ import annotations

from typing import Any

from runner.config.dotted_schema import AXIS, dotted_keys
from runner.config.hydra_settings import JOB_NAME, MODE, PARAMS, SEARCHPATH, VERBOSE
from runner.config.keys import BROUGHT, GROUPS, SETTINGS
from runner.engines.auto import AUTO
from runner.schema import experiment_type
from runner.spec import Slot

_TEXT = {"type": "string"}
_NULL = {"type": "null"}
_AUTO = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"const": AUTO, "description": "What loads local weights best here."}},
}
"""Its other settings are those of whichever kind it turns out to be."""
_LATER = {"$ref": "#/$defs/Interpolation"}
_INTERPOLATION = {
    "type": "string",
    "pattern": r"\$\{|^\?\?\?$",
    "title": "Resolved when the experiment is composed; ??? must be given by then",
}
_DEFAULTS = {"type": "array", "description": "Hydra's defaults list: what this option builds on."}


def json_schema() -> dict[str, Any]:
    """Return the schema of an experiment file; ``$defs/<group>`` is that of a group's option.

    No key has to be there, but in the items of lists: another file, what a model brings or the command line
    may give it.
    """
    schema: dict[str, Any] = _any_of(experiment_type().model_json_schema())
    definitions, properties = schema["$defs"], schema["properties"]
    for name, one in definitions.items():
        if "properties" in one:
            one["properties"] = {key: _or_later(told) for key, told in one["properties"].items()}
        if name != Slot.__name__:
            one.pop("required", None)
    for name in SETTINGS:
        properties[name] = _either(_or_later(properties[name]), _NULL)
    for group in GROUPS:
        definitions[group], properties[group] = _group(group, properties[group], definitions)
    definitions["Interpolation"] = _INTERPOLATION
    definitions["engine"]["anyOf"].append(_AUTO)
    _widen_scorers(properties["scorers"], definitions["scorers"])
    definitions["Model"]["properties"] |= {
        group: {**_inline(group), "description": f"The model's own {group}."} for group in BROUGHT
    }
    properties |= _front()
    dotted, patterns = dotted_keys(schema)
    properties |= dotted
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "An experiment of llm-runner",
        "required": [],
        "patternProperties": patterns,
    }


def _any_of(schema: Any) -> Any:
    """Return *schema* with unions that more than one branch may fit: `kind` may be left out."""
    if isinstance(schema, list):
        return [_any_of(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        "anyOf" if key == "oneOf" else key: _any_of(value)
        for key, value in schema.items()
        if key != "discriminator"
    }


def _or_later(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* of what may also be an interpolation, as may all that its lists and maps hold."""
    held = _held_or_later(schema)
    return held if _takes_any_text(schema) else _either(held, _LATER)


def _held_or_later(schema: dict[str, Any]) -> dict[str, Any]:
    made = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            made[key] = _or_later(schema[key])
    if "anyOf" in schema:
        made["anyOf"] = [_held_or_later(branch) for branch in schema["anyOf"]]
    return made


def _takes_any_text(schema: dict[str, Any]) -> bool:
    if schema.get("$ref") == "#/$defs/JsonValue":
        return True
    if schema.get("type") == "string":
        return not schema.keys() & {"pattern", "maxLength", "enum", "const"}
    return any(map(_takes_any_text, schema.get("anyOf", ())))


def _either(schema: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with *others* beside it; what describes it stays outside."""
    shown = {key: value for key, value in schema.items() if key in {"title", "description", "default"}}
    own = {key: value for key, value in schema.items() if key not in shown}
    branches = own["anyOf"] if own.keys() == {"anyOf"} else [own]
    return {**shown, "anyOf": [*branches, *others]}


def _group(
    group: str, schema: dict[str, Any], definitions: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a group's option, and that of the group's key in an experiment."""
    option = {key: value for key, value in schema.items() if key not in {"default", "description"}}
    for one in option.get("anyOf", [option]):
        kind = definitions[one["$ref"].rsplit("/", 1)[-1]] if "$ref" in one else one
        kind["properties"] = {**kind.get("properties", {}), "defaults": _DEFAULTS}
    return option, {**_inline(group), "description": schema.get("description", "")}


def _inline(group: str) -> dict[str, Any]:
    """Return the schema of what stands under a group's key, which has no defaults list of its own."""
    return {"anyOf": [{"$ref": f"#/$defs/{group}", "not": {"required": ["defaults"]}}, _TEXT, _NULL]}


def _widen_scorers(described: dict[str, Any], body: dict[str, Any]) -> None:
    described["anyOf"].insert(1, {"type": "array", "items": _TEXT})
    body["additionalProperties"] = _either(body["additionalProperties"], _TEXT, _NULL)


def _front() -> dict[str, Any]:
    return {
        "extends": {
            "type": ["string", "null"],
            "description": "Name or path of the experiment that this one builds on.",
        },
        "defaults": {"type": "array", "description": "Hydra's defaults list; makes this a plain Hydra file."},
        **_hydra(),
        "sweep": {
            "type": ["object", "null"],
            "additionalProperties": AXIS,
            "description": "Axes: a key with the list of its values, or a label with a list of maps of keys.",
        },
    }


def _hydra() -> dict[str, Any]:
    """Return the schema of `hydra`, and of its settings under their dotted keys."""
    text_or_null = {"type": ["string", "null"]}
    params = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "boolean"]}}
    settings: dict[str, dict[str, Any]] = {
        SEARCHPATH: {"type": ["array", "null"], "items": _TEXT, "description": "Further folders of options."},
        MODE: {"enum": ["RUN", "MULTIRUN", None], "description": "MULTIRUN is -m."},
        PARAMS: {**params, "description": "Axes that count with -m: a key with its values as text."},
        JOB_NAME: {**text_or_null, "description": "Another word for `name`."},
        VERBOSE: {"type": ["boolean", "null"], "description": "Print every note in full, as --verbose does."},
    }
    whole: dict[str, Any] = {}
    for key, one in settings.items():
        below = whole
        *parts, last = key.split(".")
        for part in parts:
            below.setdefault(
                part, {"type": ["object", "null"], "additionalProperties": False, "properties": {}}
            )
            below = below[part]["properties"]
        below[last] = one
    whole["hydra"]["description"] = "Hydra's own settings; the others are refused."
    return {**whole, **settings}
