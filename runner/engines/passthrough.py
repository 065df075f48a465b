"""Fields that may not go through `passthrough`: they would take the place of what the plan shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from runner.engines.capabilities import Parameter
from runner.errors import Fault
from runner.spec.sampling import CONSTRAINTS
from runner.values import VALUE_TASKS, Json

_SET: Mapping[str, str] = MappingProxyType({
    "model": "model.name",
    "messages": "prompt",
    "prompt": "prompt",
    "contents": "prompt",
    "system": "prompt",
    "system_instruction": "prompt",
    "stream": "engine.stream",
    "stream_options": "engine.stream",
    "lora_path": "model.adapter",
})
"""Fields of a body that the runner fills -> where one says it."""

_OF_VALUES = dict.fromkeys(("input", "query", "documents", "text", "text_1", "text_2"), "prompt")
_ALIASES = MappingProxyType({"max_completion_tokens": "max_tokens"})
_FORMS = frozenset({
    "response_format",
    "response_schema",
    "response_mime_type",
    "structured_outputs",
    "structural_tag",
    "regex",
    "ebnf",
})
"""How servers can be told what an answer has to obey."""

_BESIDE: Mapping[str, frozenset[str]] = MappingProxyType({
    **dict.fromkeys(CONSTRAINTS, _FORMS),
    "reasoning_effort": frozenset({"thinking"}),
    "continue_final_message": frozenset({"add_generation_prompt"}),
})
"""Parameter -> fields beside its own that are sent for it, or that contend with it."""

_TOOLS = frozenset({"tools", "tool_choice"})


def passthrough_faults(
    place: str, sent: Mapping[str, Json], takes: Mapping[str, Parameter], task: str
) -> Iterator[Fault]:
    """Find fields of a passthrough that have a key of their own, or would replace what another one asks for.

    Args:
        place: where the sampling stands that has it.
        sent: all of the sampling that is sent.
        takes: what the engine takes for the task, and how it calls that.
        task: what is asked.
    """
    passed: Any = sent.get("passthrough")
    if not isinstance(passed, Mapping):
        return
    filled = {**_SET, **(_OF_VALUES if task in VALUE_TASKS else {})}
    own = _named(sent, takes)
    asked = {field: name for name in sent if name in takes for field in _fields_of(name, takes[name])}
    for path, field, value in _fields(passed):
        where = f"{place}.passthrough.{path}"
        if (key := filled.get(field)) is not None:
            yield Fault(where, "the runner fills it", f"set {key} instead")
        elif (name := own.get(field) or _schema(field, value, takes)) is not None:
            yield Fault(where, "it has a key of its own", f"set {place}.{name} instead")
        elif (name := asked.get(field)) is not None:
            yield Fault(where, f"it would take the place of {place}.{name}", "leave one of them out")


def _named(sent: Mapping[str, Json], takes: Mapping[str, Parameter]) -> dict[str, str]:
    """Return the fields that are one of our parameters, in the engine's spelling and in ours."""
    # Of tools that aren't functions, such as a provider's search, we have no form.
    foreign = set() if _openai_form(takes) else _TOOLS - sent.keys()
    ours = {name: own.name for name, own in takes.items() if name not in {"passthrough", *foreign}}
    own = {field: name for field, name in _ALIASES.items() if name in takes}
    for name, field in [*ours.items(), *((name, name) for name in ours)]:
        if field != "response_format":
            own.setdefault(field, name)
    return own


def _openai_form(takes: Mapping[str, Parameter]) -> bool:
    """Tell whether constraints and tools are asked for as OpenAI has them."""
    return "json_schema" not in takes or takes["json_schema"].name == "response_format"


def _schema(field: str, value: Json, takes: Mapping[str, Parameter]) -> str | None:
    """Tell a JSON Schema from the other forms that an answer can be asked for in."""
    if "json_schema" not in takes:
        return None
    named = isinstance(value, Mapping) and value.get("type") == "json_schema"
    asked = (field == "response_format" and named) or field == "structured_outputs.json"
    return "json_schema" if asked else None


def _fields_of(name: str, parameter: Parameter) -> set[str]:
    """Return the fields that a parameter is sent in."""
    return {parameter.name, parameter.name.partition(".")[0], *_BESIDE.get(name, ())} - {"passthrough"}


def _fields(passed: Mapping[str, Json], above: str = "") -> Iterator[tuple[str, str, Json]]:
    """Yield each field and those in it: as it was written, as tables call it, and its value.

    Gemini's camel case is read as snake case, and its generationConfig as what it holds.
    """
    for written, value in passed.items():
        path = f"{above}{written}"
        field = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", path).lower().removeprefix("generation_config.")
        yield path, field, value
        if isinstance(value, Mapping) and path.count(".") < _DEEPEST:
            yield from _fields(value, f"{path}.")


_DEEPEST = 2
"""Maps within maps that tables name fields in: generationConfig.thinkingConfig.thinkingLevel."""
