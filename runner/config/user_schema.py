"""The JSON Schema of a YAML file as users write it: choices by name, dotted keys, sweeps."""

from __future__ import annotations

from typing import Any

from runner.config.keys import GROUPS, SETTINGS
from runner.engines.auto import AUTO
from runner.schema import experiment_type

_TEXT = {"type": "string"}
_NULL = {"type": "null"}
_AUTO = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"const": AUTO, "description": "What loads local weights best here."}},
}
"""Its other settings are those of whichever kind it turns out to be."""


def json_schema() -> dict[str, Any]:
    """Return the schema of an experiment file; ``$defs/<group>`` is that of a group's option."""
    schema: dict[str, Any] = _any_of(experiment_type().model_json_schema())
    definitions, properties = schema["$defs"], schema["properties"]
    for group in GROUPS:
        described = properties[group].get("description", "")
        body = {
            key: value for key, value in properties[group].items() if key not in {"default", "description"}
        }
        definitions[group] = body
        properties[group] = {"anyOf": [{"$ref": f"#/$defs/{group}"}, _TEXT, _NULL], "description": described}
    definitions["engine"]["anyOf"].append(_AUTO)
    _widen_scorers(properties["scorers"], definitions["scorers"])
    definitions["Model"]["properties"] |= {
        group: {"anyOf": [{"$ref": f"#/$defs/{group}"}, _TEXT], "description": f"The model's own {group}."}
        for group in ("engine", "topology", "sampling")
    }
    properties |= _front()
    keys = "|".join((*GROUPS, *SETTINGS))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "An experiment of llm-runner",
        "required": [],
        "patternProperties": {rf"^({keys})\.": {}},
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


def _widen_scorers(described: dict[str, Any], body: dict[str, Any]) -> None:
    described["anyOf"].insert(1, {"type": "array", "items": _TEXT})
    body["additionalProperties"] = {"anyOf": [body["additionalProperties"], _TEXT, _NULL]}


def _front() -> dict[str, Any]:
    return {
        "extends": {**_TEXT, "description": "Name or path of the experiment that this one builds on."},
        "defaults": {"type": "array", "description": "Hydra's defaults list; makes this a plain Hydra file."},
        "sweep": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "array", "minItems": 1},
            "description": "Axes: a key with the list of its values, or a label with a list of maps of keys.",
        },
    }
