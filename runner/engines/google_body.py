"""What is sent to Google: messages, tools and parameters in the form of the Gemini API."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import msgspec

from runner.engines.google import KIND
from runner.engines.openai_messages import (
    Call,
    Image,
    calls_of,
    forced_tool,
    functions_of,
    is_system,
    parts_of,
    require_known,
    text_of,
)
from runner.errors import BadRequestError
from runner.values import Json, Message, Request

_APART = frozenset({"tools", "tool_choice", "json_schema", "reasoning_effort", "passthrough"})
_NAMES = {name: own.name for name, own in KIND.capabilities.sampling.items() if name not in _APART}
_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_FILES_API = "generativelanguage.googleapis.com"


def contents_of(request: Request) -> list[dict[str, Any]]:
    """Return the turns of the conversation, without the system text.

    Raises:
        BadRequestError: they hold what can't be converted.
    """
    messages: Any = request.input
    for message in messages:
        require_known(message)
    turns = messages[_lead(messages) :]
    if any(is_system(message) for message in turns):
        raise BadRequestError("Gemini takes system messages before all others, not between them")
    names = {call.id: call.name for message in turns for call in calls_of(message)}
    contents: list[dict[str, Any]] = []
    # The results of one turn's calls stand in one turn.
    for is_result, group in groupby(turns, lambda message: message["role"] == "tool"):
        if is_result:
            contents.append({"role": "user", "parts": [_result(message, names) for message in group]})
        else:
            contents += [_turn(message) for message in group]
    return contents


def config_of(request: Request) -> dict[str, Any]:
    """Return the SDK's configuration of one request; raises as `contents_of` does."""
    messages: Any = request.input
    sampling = request.sampling
    config: dict[str, Any] = {
        own: sampling[name] for name, own in _NAMES.items() if sampling.get(name) is not None
    }
    # The SDK may neither execute tools nor ask again by itself.
    config |= {"automatic_function_calling": {"disable": True}, "automatic_continuation": False}
    if system := [{"text": text_of(message)} for message in messages[: _lead(messages)]]:
        config["system_instruction"] = {"parts": system}
    if sampling.get("json_schema") is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": sampling["json_schema"]}
    if sampling.get("passthrough"):
        config["http_options"] = {"extra_body": sampling["passthrough"]}
    config |= _thinking(sampling.get("reasoning_effort"))
    return config | _tools(sampling.get("tools"), sampling.get("tool_choice"))


def _lead(messages: Any) -> int:
    return next((i for i, message in enumerate(messages) if not is_system(message)), len(messages))


def _turn(message: Message) -> dict[str, Any]:
    parts = [_part(part) for part in parts_of(message)]
    calls = [_called(call) for call in calls_of(message)]
    # An assistant that only calls tools says nothing.
    spoken = [part for part in parts if part != {"text": ""}] if calls else parts
    return {"role": "model" if message["role"] == "assistant" else "user", "parts": [*spoken, *calls]}


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    if part.url:
        return {"file_data": _file(part.url)}
    return {"inline_data": {"mime_type": part.media_type, "data": _bytes(part.data, "an image's data")}}


def _bytes(text: str, what: str) -> bytes:
    """Return what *text* is in base64: the SDK takes bytes, and writes them so again."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadRequestError(f"{what} is no base64: {error}") from None


def _file(url: str) -> dict[str, str]:
    """Return an image by its address: one of Google's own, or any over https whose ending tells its type."""
    address = urlsplit(url)
    if address.hostname == _FILES_API:
        return {"file_uri": url}
    media_type = mimetypes.guess_type(address.path)[0] or ""
    if address.scheme not in {"https", "gs"} or not media_type.startswith("image/"):
        expected = "an https address that ends as images do, such as .png; or a data URL"
        raise BadRequestError(f"Gemini can't be sent the image {url[:200]!r}: it takes {expected}")
    return {"file_uri": url, "mime_type": media_type}


def _called(call: Call) -> dict[str, Any]:
    part: dict[str, Any] = {
        "function_call": {"name": call.name, "args": call.arguments, "id": call.id or None}
    }
    match call.told:
        case {"extra_content": {"google": {"thought_signature": str(signature)}}}:
            part["thought_signature"] = _bytes(signature, "the signature of a thought")
    return part


def _result(message: Message, names: dict[str, str]) -> dict[str, Any]:
    known = str(message.get("tool_call_id") or "")
    name = message.get("name") or names.get(known)
    if not name:
        raise BadRequestError(
            f"a tool message answers {known!r}, which no assistant's message before it calls"
        )
    text = text_of(message)
    try:
        told = msgspec.json.decode(text)
    except msgspec.DecodeError:
        told = text
    response = told if isinstance(told, dict) else {"output": text}
    return {"function_response": {"name": name, "response": response, "id": known or None}}


def _tools(tools: Json, choice: Json) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if tools:
        declared = [_declaration(function) for function in functions_of(tools)]
        fields["tools"] = [{"function_declarations": declared}]
    if choice is not None:
        name = forced_tool(choice)
        calling = {"mode": "ANY", "allowed_function_names": [name]} if name else {"mode": _CHOICES[choice]}
        fields["tool_config"] = {"function_calling_config": calling}
    return fields


def _declaration(function: dict[str, Json]) -> dict[str, Json]:
    own = {name: function[name] for name in ("name", "description") if function.get(name) is not None}
    schema = function.get("parameters")
    return own | ({"parameters_json_schema": schema} if schema else {})


def _thinking(effort: str | None) -> dict[str, Any]:
    if effort is None:
        return {}
    if effort == "none":
        return {"thinking_config": {"thinking_budget": 0}}
    if effort not in _LEVELS:
        raise BadRequestError(f"reasoning_effort {effort!r}: Gemini takes none, {', '.join(_LEVELS)}")
    return {"thinking_config": {"thinking_level": effort.upper(), "include_thoughts": True}}
