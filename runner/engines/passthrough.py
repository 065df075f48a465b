"""Fields that may not go through `passthrough`: they would take the place of what the plan shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from runner.engines.capabilities import Parameter
from runner.spec.sampling import CONSTRAINTS
from runner.values import VALUE_TASKS, Json

_SET: Mapping[str, str] = MappingProxyType({
    **dict.fromkeys(("messages", "prompt", "contents", "system", "system_instruction"), "prompt"),
    "model": "model.name",
    "stream": "engine.stream",
    "stream_options": "engine.stream",
    "lora_path": "model.adapter",
})
"""Fields of a body that the runner fills -> where one says it."""

_OF_SDKS: Mapping[str, str] = MappingProxyType({
    "extra_body": "write its fields into sampling.passthrough itself",
    "extra_headers": "set engine.headers_env instead",
    "extra_query": "leave it out",
})
"""Arguments of SDKs, which no server reads as fields of a body -> what to write."""

_OF_VALUES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    **dict.fromkeys(
        ("embed", "reward"),
        dict.fromkeys(("encoding_format", "embed_dtype", "output_dtype", "endianness"), ""),
    ),
    "rerank": {"top_n": "", "top_k": ""},
    "loglikelihood": dict.fromkeys(
        (
            "echo",
            "sampling_params",
            "return_logprob",
            "logprob_start_len",
            "top_logprobs_num",
            "input_ids",
            "truncate_prompt_tokens",
        ),
        "",
    ),
})
"""Task that is answered with numbers -> further fields that would make its answer another, or unreadable."""

_OF_PROMPTS = frozenset({"passthrough", "chat_template_kwargs", "continue_final_message", "tools"})
"""Parameters that change what a model reads, and so a number that it is answered with."""

_INPUTS = (
    "input",
    "requests",
    "content",
    "query",
    "queries",
    "documents",
    "items",
    "text",
    "text_1",
    "text_2",
    "data_1",
    "data_2",
)
"""Fields in which servers are sent what such tasks are about."""

_ALIASES = MappingProxyType({
    "max_completion_tokens": "max_tokens",
    "functions": "tools",
    "function_call": "tool_choice",
})
_FORMS = frozenset({
    "response_format",
    "response_schema",
    "response_mime_type",
    "structured_outputs",
    "structural_tag",
    "regex",
    "ebnf",
    "grammar",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "format",
    "json_schema",
})
"""How servers can be told what an answer has to obey."""

_BESIDE: Mapping[str, frozenset[str]] = MappingProxyType({
    **dict.fromkeys(CONSTRAINTS, _FORMS),
    "max_tokens": frozenset({
        "max_new_tokens",
        "max_output_tokens",
        "max_length",
        "max_tokens_to_sample",
        "n_predict",
        "num_predict",
    }),
    "stop": frozenset({"stop_sequences", "stop_strings"}),
    "seed": frozenset({"random_seed"}),
    "n": frozenset({"best_of", "candidate_count", "num_return_sequences"}),
    "repetition_penalty": frozenset({"repeat_penalty"}),
    "logprobs": frozenset({"return_logprob", "response_logprobs"}),
    "top_logprobs": frozenset({"top_logprobs_num", "n_probs"}),
    "reasoning_effort": frozenset({"thinking", "thinking_config", "thinking_budget", "reasoning"}),
    "tool_choice": frozenset({"tool_config"}),
    "continue_final_message": frozenset({"add_generation_prompt", "prefix"}),
})
"""Parameter -> fields beside its own that are sent for it, or that contend with it."""

_TOOLS = frozenset({"tools", "tool_choice"})

_VARIABLES: Mapping[str, str] = MappingProxyType({
    "messages": "prompt",
    "conversation": "prompt",
    "tools": "sampling.tools",
    "chat_template": "model.chat_template",
    "continue_final_message": "sampling.continue_final_message",
    "add_generation_prompt": "sampling.continue_final_message",
    **dict.fromkeys(("tokenize", "padding", "truncation", "max_length"), ""),
    **dict.fromkeys(("return_tensors", "return_dict", "return_assistant_tokens_mask"), ""),
})
"""Arguments that a chat template's variables share a map with -> where one says it; empty: nowhere."""

_Found: TypeAlias = tuple[str, str, str]
"""Place, problem and hint."""


def passthrough_findings(
    passed: Mapping[str, Json],
    sent: Mapping[str, Json],
    takes: Mapping[str, Parameter],
    able: Mapping[str, Parameter],
    task: str,
) -> Iterator[_Found]:
    """Find fields that have a key of their own, or would replace what another one asks for.

    Args:
        passed: the passthrough.
        sent: all of the sampling that is sent; only iterated over, so that what a row fills is left to it.
        takes: what the engine takes for the task, and how it calls that.
        able: what it takes for any task.
        task: what is requested.
    """
    filled = {**_SET, **(dict.fromkeys(_INPUTS, "prompt") if task in VALUE_TASKS else {})}
    filled |= _OF_VALUES.get(task, {})
    if task == "loglikelihood":
        # The request is one that generates a token, with values of the runner's own.
        filled |= dict.fromkeys({field for name in able for field in _spellings(name, able[name])}, "")
    elif task in VALUE_TASKS:
        idle = {field for name in able.keys() - _OF_PROMPTS for field in _spellings(name, able[name])}
        filled |= dict.fromkeys(idle - filled.keys(), "")
    own = _named(sent, takes)
    asked = {field: name for name in sent if name in takes for field in _fields_of(name, takes[name])}
    for path, field, value in _fields(passed):
        where = f"sampling.passthrough.{path}"
        if (hint := _OF_SDKS.get(path)) is not None:
            yield where, "an argument of SDKs, which no server reads", hint
        elif (key := filled.get(field)) is not None:
            fills = key or task == "loglikelihood" or field in _OF_VALUES.get(task, {})
            problem = "the runner sets it" if fills else f"task {task} samples nothing that it could change"
            yield where, problem, f"set {key} instead" if key else "leave it out"
        elif (name := own.get(field) or _schema(field, value, takes)) is not None:
            yield where, "it has a key of its own", f"set sampling.{name} instead"
        elif (name := asked.get(field)) is not None:
            yield where, f"it would replace sampling.{name}", "leave one of them out"


def template_variable_findings(variables: Mapping[str, Json], sent: Mapping[str, Json]) -> Iterator[_Found]:
    """Find variables of a chat template that have a key of their own, or contend with one that is sent."""
    for name in variables:
        where = f"sampling.chat_template_kwargs.{name}"
        if (key := _VARIABLES.get(name)) is not None:
            yield where, "no variable of a chat template", f"set {key} instead" if key else "leave it out"
    effort = "reasoning_effort"
    if effort in variables and effort in set(sent):
        place = f"sampling.chat_template_kwargs.{effort}"
        yield place, f"it would replace sampling.{effort}", "leave one of them out"


def _spellings(name: str, parameter: Parameter) -> set[str]:
    """Return the fields that a parameter is known by, in the engine's spelling and in ours."""
    fields = {name, *_fields_of(name, parameter), *(field for field, own in _ALIASES.items() if own == name)}
    return fields - {"passthrough"}


def _named(sent: Mapping[str, Json], takes: Mapping[str, Parameter]) -> dict[str, str]:
    """Return the fields that are one of our parameters, in the engine's spelling and in ours."""
    # Of tools that aren't functions, such as a provider's search, we have no form.
    foreign = set() if _openai_form(takes) else _TOOLS.difference(sent)
    ours = {name: own.name for name, own in takes.items() if name not in {"passthrough", *foreign}}
    own = {field: name for field, name in _ALIASES.items() if name in ours}
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
