"""What is sent to Anthropic: messages, tools and parameters in the form of its Messages API."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from runner.engines.anthropic import MAX_TOKENS
from runner.engines.openai_messages import (
    Image,
    calls_of,
    forced_tool,
    functions_of,
    is_system,
    parts_of,
    require_known,
    text_of,
)
from runner.values import Json, Message, Request

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_OF_TOOLS = ("name", "description", "strict")
_LEGACY = ("temperature", "top_p", "top_k")


def fields_of(request: Request, model: str) -> dict[str, Any]:
    """Return the arguments of the SDK's ``messages.create``.

    Raises:
        BadRequestError: the messages or tools hold what can't be converted.
    """
    sampling = request.sampling
    system, messages = _split(request.input)
    fields: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": sampling.get("max_tokens") or MAX_TOKENS,
    }
    if system:
        fields["system"] = system
    if sampling.get("stop"):
        fields["stop_sequences"] = list(sampling["stop"])
    further = {name: sampling[name] for name in _LEGACY if sampling.get(name) is not None}
    further |= sampling.get("passthrough") or {}
    if further:
        fields["extra_body"] = further
    return fields | _tools(sampling.get("tools"), sampling.get("tool_choice")) | _output(request)


def _split(messages: Any) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """Return the blocks of the system text, and all that follows."""
    for message in messages:
        require_known(message)
    lead = next((i for i, message in enumerate(messages) if not is_system(message)), len(messages))
    system = [_text(text_of(message)) for message in messages[:lead]]
    turns: list[dict[str, Json]] = []
    # The results of one turn's calls stand in one message.
    for is_result, group in groupby(messages[lead:], lambda message: message["role"] == "tool"):
        if is_result:
            turns.append({"role": "user", "content": [_result(message) for message in group]})
        else:
            turns += [_turn(message) for message in group]
    return system, turns


def _turn(message: Message) -> dict[str, Json]:
    if is_system(message):
        return {"role": "system", "content": text_of(message)}
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in calls_of(message)
    ]
    if isinstance(message.get("content"), str) and not calls:
        return {"role": message["role"], "content": message["content"]}
    # A text block may not be empty.
    blocks = [_block(part) for part in parts_of(message) if part != ""]
    return {"role": message["role"], "content": [*blocks, *calls]}


def _result(message: Message) -> dict[str, Json]:
    return {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id") or "",
        "content": [_block(part) for part in parts_of(message) if part != ""],
    }


def _block(part: str | Image) -> dict[str, Json]:
    if isinstance(part, str):
        return _text(part)
    if part.url:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text}


def _tools(tools: Json, choice: Json) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if tools:
        fields["tools"] = [_tool(function) for function in functions_of(tools, "strict")]
    if choice is not None:
        name = forced_tool(choice)
        fields["tool_choice"] = {"type": "tool", "name": name} if name else {"type": _CHOICES[choice]}
    return fields


def _tool(function: dict[str, Json]) -> dict[str, Json]:
    own = {name: function[name] for name in _OF_TOOLS if function.get(name) is not None}
    return {**own, "input_schema": function.get("parameters") or {"type": "object", "properties": {}}}


def _output(request: Request) -> dict[str, Any]:
    """Return the fields that say how long to think, and what the answer obeys."""
    fields: dict[str, Any] = {}
    config: dict[str, Any] = {}
    effort, schema = request.sampling.get("reasoning_effort"), request.sampling.get("json_schema")
    if effort == "none":
        fields["thinking"] = {"type": "disabled"}
    elif effort is not None:
        fields["thinking"] = {"type": "adaptive", "display": "summarized"}
        config["effort"] = effort
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return fields | ({"output_config": config} if config else {})
