"""What a call may ask with, and the request input that it comes to."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from runner.engines.base import EngineKind
from runner.engines.capabilities import Feature
from runner.engines.registry import takers
from runner.errors import ConfigError, Fault, InputError, RenderError, UserError
from runner.files import expanded, read_regular, shown_name
from runner.llm.foreign import native
from runner.prompts import illustrated, settled
from runner.prompts.images import MOST_IMAGE_BYTES, UNREADABLE, openai_part, reason
from runner.prompts.messages import messages_of
from runner.values import Input as RequestInput
from runner.values import Json, Message

Input: TypeAlias = str | Sequence[Any]
"""For chat: one user message's text, strings that alternate, or messages in the OpenAI form. For complete: a
prompt, or its token ids."""

_COLUMN = "input"
_RAW = frozenset({"embed", "classify"})
_PAIR = 2


def request_input(given: Any, task: str, kind: EngineKind, folder: Path) -> RequestInput:
    """Return what is sent for *given*: the same that an experiment's row of the task sends.

    Images are addresses, data URLs, bytes, Pillow images, `Path`s, or text that names a file below *folder*.

    Raises:
        InputError: nothing can be made of it.
        ConfigError: the engine takes no such input.
    """
    given = native(given)
    if task == "complete":
        return _prompt(given, kind)
    if task in _NAMED:
        return _named(given, _NAMED[task])
    if task in _RAW or (task == "reward" and isinstance(given, str)):
        return _text(given, _COLUMN)
    if isinstance(given, str):
        return ({"role": "user", "content": given},)
    messages = _messages(given, folder)
    if any(map(illustrated, messages)):
        _require("images", "images", kind)
    return messages


def _messages(given: Any, folder: Path) -> tuple[Message, ...]:
    if not isinstance(given, list | tuple) or not given:
        hint = "; put the message into a list" if isinstance(given, Mapping) else ""
        raise InputError(f"input: expected text or a list of messages, not {_shown(given)}{hint}")
    try:
        messages = messages_of([_ready(turn) for turn in given], _COLUMN, _shown)
    except RenderError as error:
        raise InputError(error.message) from None
    try:
        return settled(messages, folder)
    except RenderError as error:
        said = error.message.replace(", where the dataset is", "; a pathlib.Path may be")
        raise InputError(f"input: {said}") from None


def _shown(given: Any) -> str:
    """Return what was given as Python writes it, cut if long."""
    try:
        return f"{given!r:.60}"
    except RecursionError:
        return f"a {type(given).__name__} that is nested too deep"


def _text(given: Any, name: str) -> str:
    if isinstance(given, str):
        return given
    raise InputError(f"{name}: expected text, not {_shown(given)}")


def _texts(given: Any, name: str) -> list[str]:
    if isinstance(given, list | tuple) and given and all(isinstance(one, str) for one in given):
        return list(given)
    raise InputError(f"{name}: expected a list of texts, not {_shown(given)}")


def _pair(given: Any, name: str) -> list[str]:
    if isinstance(given, list | tuple) and [isinstance(one, str) for one in given] == [True] * _PAIR:
        return list(given)
    raise InputError(f"{name}: expected a pair of texts, not {_shown(given)}")


_NAMED: Mapping[str, Mapping[str, Callable[[Any, str], Json]]] = {
    "score": {"pair": _pair},
    "rerank": {"query": _text, "documents": _texts},
    "loglikelihood": {"context": _text, "continuations": _texts},
}
"""Tasks that send named texts -> how each is made ready."""


def _named(given: Any, fields: Mapping[str, Callable[[Any, str], Json]]) -> dict[str, Json]:
    """Return the named texts of a task: *given* has one for each name, or is what the only name means."""
    values = (given,) if len(fields) == 1 else given
    return {name: ready(value, name) for (name, ready), value in zip(fields.items(), values, strict=True)}


def _prompt(given: Any, kind: EngineKind) -> tuple[int, ...] | str:
    if isinstance(given, str):
        return given
    if isinstance(given, list | tuple) and given and all(type(one) is int and one >= 0 for one in given):
        _require("token_ids", "token ids", kind)
        return tuple(given)
    raise InputError(f"input: expected a prompt or a list of token ids, not {_shown(given)}")


def _require(feature: Feature, what: str, kind: EngineKind) -> None:
    if feature not in kind.capabilities.features:
        raise ConfigError([Fault(_COLUMN, f"engine {kind.name} takes no {what}", takers(feature))])


def _ready(turn: Any) -> Any:
    """Return a message whose parts are in the OpenAI form; images in them may still be bytes."""
    if not isinstance(turn, dict):
        return turn
    content = turn.get("content")
    return (
        {**turn, "content": [_part(part) for part in content]} if isinstance(content, list | tuple) else turn
    )


def _part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        return {"type": "image_url", "image_url": {"url": _image(part)}}
    part = openai_part(part)
    image = part.get("image_url")
    if part.get("type") != "image_url" or image is None:
        return part
    rest = image if isinstance(image, dict) else {"url": image}
    return {**part, "image_url": {**rest, "url": _image(rest.get("url"))}}


def _image(value: Any) -> Any:
    """Return an image's bytes, or what `settled` knows how to take."""
    try:
        if isinstance(value, Path):
            return read_regular(expanded(value), MOST_IMAGE_BYTES)
        if callable(save := getattr(value, "save", None)):  # Pillow's, without importing it
            buffer = io.BytesIO()
            save(buffer, "PNG")
            return buffer.getvalue()
    except (*UNREADABLE, UserError) as error:
        raise InputError(f"input: image {shown_name(str(value))}: {reason(error)}") from None
    return value
