"""Reads messages and tools in the OpenAI form, for engines whose API has another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from runner.errors import BadRequestError
from runner.values import Json, Message, spelled

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[^,;]*)*;base64,(.*)", re.DOTALL)
_OF_ALL = frozenset({"role", "content"})
_OF_ROLES = {"assistant": frozenset({"tool_calls"}), "tool": frozenset({"tool_call_id", "name"})}


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a message: base64 text with its media type, or the address where it lies."""

    media_type: str = ""
    data: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool that an assistant's message holds; *told* is all that the message says of it."""

    id: str
    name: str
    arguments: dict[str, Json]
    told: Mapping[str, Json]


def is_system(message: Message) -> bool:
    """Tell whether a message is an instruction of the system or the developer."""
    return message["role"] in {"system", "developer"}


def require_known(message: Message, further: frozenset[str] = frozenset()) -> None:
    """Make sure that a message holds nothing that would be dropped.

    Raises:
        BadRequestError: it has a key that the OpenAI form doesn't have, or that can't be converted.
    """
    role = message["role"]
    _refuse_odd(
        f"a message of the role {role}", message, _OF_ALL | _OF_ROLES.get(role, frozenset()) | further
    )


def parts_of(message: Message) -> list[str | Image]:
    """Return a message's texts and images, in order.

    Raises:
        BadRequestError: it holds something else.
    """
    content = message.get("content")
    if content is None:
        return []
    return [content] if isinstance(content, str) else [_part(part) for part in content]


def text_of(message: Message) -> str:
    """Return a message's text; raises as `parts_of` does, and if it holds an image."""
    parts = parts_of(message)
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < len(parts):
        raise BadRequestError(f"a message of the role {message['role']} can't hold an image for this engine")
    return "".join(texts)


def calls_of(message: Message) -> list[Call]:
    """Return the calls of tools that an assistant's message holds.

    Raises:
        BadRequestError: one is not in the OpenAI form.
    """
    return [_call(call) for call in message.get("tool_calls") or ()]


def functions_of(tools: Iterable[Json], *further: str) -> list[dict[str, Json]]:
    """Return what each tool says of its function: name, description, parameters and what *further* names.

    Raises:
        BadRequestError: one is not in the OpenAI form, or says more.
    """
    known = frozenset({"name", "description", "parameters", *further})
    return [_function(tool, known) for tool in tools]


def forced_tool(choice: Json) -> str | None:
    """Return the name of the one tool that a tool_choice forces, None where it is a word.

    Raises:
        BadRequestError: it is neither.
    """
    if isinstance(choice, str):
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise BadRequestError(f"tool_choice {spelled(choice, 80)} is neither a word nor in the OpenAI form")
    return name


def _part(part: Json) -> str | Image:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind != "image_url":
        raise BadRequestError(f"a content part {spelled(part, 80)} can't be sent; known: text, image_url")
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if isinstance(image, dict) and image.get("detail") not in {None, "auto"}:
        raise BadRequestError("image_url.detail can't be sent to this engine")
    return _image(url)


def _image(url: Json) -> Image:
    if isinstance(url, str):
        if match := _DATA_URL.fullmatch(url):
            return Image(media_type=match[1], data=match[2])
        if url.startswith(("http://", "https://", "gs://")):
            return Image(url=url)
    raise BadRequestError(f"image_url {spelled(url, 80)} is neither an address nor a data URL in base64")


def _call(call: Json) -> Call:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRequestError(f"a tool call {spelled(call, 80)} is not in the OpenAI form")
    given = function.get("arguments") or "{}"
    try:
        arguments = msgspec.json.decode(given) if isinstance(given, str) else given
    except msgspec.DecodeError as error:
        raise BadRequestError(f"the arguments of a call of {function['name']} are no JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise BadRequestError(f"the arguments of a call of {function['name']} are no JSON object")
    return Call(str(call.get("id") or ""), function["name"], arguments, call)


def _refuse_odd(what: str, given: Mapping[str, Json], known: frozenset[str]) -> None:
    odd = sorted(key for key, value in given.items() if key not in known and value not in (None, [], False))
    if odd:
        told = ", ".join(sorted(known))
        raise BadRequestError(f"{what} can't be sent with its {', '.join(odd)}; known: {told}")


def _function(tool: Json, known: frozenset[str]) -> dict[str, Json]:
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRequestError(f"a tool {spelled(tool, 80)} is not in the OpenAI form")
    _refuse_odd(f"the tool {function['name']}", tool, frozenset({"type", "function"}))
    _refuse_odd(f"the tool {function['name']}", function, known)
    return function
