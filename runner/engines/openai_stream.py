"""Reads answers that come in pieces, as the OpenAI API streams them: the text, or the whole and its times."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from runner.engines.asked import require_served
from runner.engines.course import Course
from runner.engines.openai_wire import read_chunk, text_of
from runner.engines.provider_wire import decode, malformed
from runner.engines.sse import DONE
from runner.values import Timing


async def texts(events: AsyncGenerator[bytes], course: Course) -> AsyncGenerator[str]:
    """Yield the texts of the first choice.

    Raises:
        MalformedResponseError: an event is not what the API documents.
        ServerError: the server says that it failed.
        ConnectionFailedError: the stream ended before the answer did.
    """
    async with aclosing(events):
        async for data in events:
            if data == DONE:
                course.done = True
                continue
            chunk = read_chunk(data)
            for choice in chunk.choices or ():
                require_served(choice.finish_reason)
                course.note(choice.index or 0, choice.finish_reason)
            if text := text_of(chunk):
                yield text
    course.require_end()


async def put_together(events: AsyncGenerator[bytes], course: Course) -> tuple[bytes, Timing]:
    """Return the body of the answer as if it had come in one piece, and its times; raises as `texts` does."""
    pieces = _Pieces(course)
    async with aclosing(events):
        async for data in events:
            if data == DONE:
                course.done = True
            elif pieces.add(data):
                course.spoke()
    course.require_end()
    return pieces.answer(), course.timing()


class _Event(msgspec.Struct):
    """One event; what isn't in its choices stands for itself."""

    choices: list[dict[str, Any]] | None = None
    usage: Any = None
    system_fingerprint: Any = None
    prompt_token_ids: Any = None
    prompt_logprobs: Any = None


_event = msgspec.json.Decoder(_Event)
_WHOLE = ("usage", "system_fingerprint", "prompt_token_ids", "prompt_logprobs")
_SPOKEN = ("content", "reasoning_content", "reasoning", "tool_calls")
"""Parts of a delta that are the model's own."""
_GROWING = frozenset({"content", "reasoning_content", "reasoning", "refusal", "text", "arguments"})


@dataclass(slots=True)
class _Choice:
    """What is known of one choice; the calls of tools go by their index."""

    fields: dict[str, Any] = field(default_factory=dict)
    message: dict[str, Any] | None = None
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, piece: dict[str, Any]) -> bool:
        """Add a piece and tell whether the model speaks in it."""
        spoken = bool(piece.get("text"))
        delta = piece.pop("delta", None)
        if isinstance(logprob := piece.get("logprobs"), float):
            # Together's: that of the piece's one token, where its whole answers have lists.
            token = piece.get("text") or (delta.get("content") if isinstance(delta, dict) else "") or ""
            piece["logprobs"] = {"tokens": [token], "token_logprobs": [logprob]}
        _merge(self.fields, piece)
        return self._hear(_map(delta, "delta")) or spoken if delta is not None else spoken

    def _hear(self, delta: dict[str, Any]) -> bool:
        spoken = any(delta.get(name) for name in _SPOKEN)
        calls = delta.pop("tool_calls", None) or []
        for call in calls if isinstance(calls, list) else [calls]:
            index = _index(_map(call, "tool_calls"))
            _merge(self.calls.setdefault(index, {}), call)
        self.message = {} if self.message is None else self.message
        _merge(self.message, delta)
        return spoken

    def whole(self, index: int) -> dict[str, Any]:
        if self.message is None:
            return {**self.fields, "index": index}
        calls = [call for _, call in sorted(self.calls.items())]
        return {**self.fields, "index": index, "message": {**self.message, "tool_calls": calls or None}}


class _Pieces:
    """The pieces of one answer; `add` them in order, then read `answer`."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._fields: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, data: bytes) -> bool:
        """Add one event and tell whether the model speaks in it."""
        event = decode(_event, data)
        self._fields |= {name: told for name in _WHOLE if (told := getattr(event, name)) is not None}
        spoken = False
        for piece in event.choices or ():
            index = _index(piece)
            self._course.note(index, piece.get("finish_reason"))
            spoken |= self._choices.setdefault(index, _Choice()).add(piece)
        return spoken

    def answer(self) -> bytes:
        choices = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        return msgspec.json.encode({**self._fields, "choices": choices})


def _index(piece: dict[str, Any]) -> int:
    """Take the index out of a piece."""
    index = piece.pop("index", None) or 0
    if type(index) is not int:
        raise malformed(f"index {index!r} is no number")
    return index


def _map(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed(f"{name} is {value!r}, expected a map")
    return value


def _merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a piece: texts and lists grow, maps are merged, all else is replaced.

    What a piece leaves empty says nothing: some servers repeat id and name of a call that way.
    """
    for name, value in piece.items():
        known = whole.get(name)
        if known is None:
            whole[name] = value
        elif value is None or value == "":
            continue
        elif name in _GROWING or isinstance(value, dict | list) or isinstance(known, dict | list):
            whole[name] = _grown(name, known, value)
        else:
            whole[name] = value


def _grown(name: str, known: Any, value: Any) -> Any:
    if isinstance(known, dict) and isinstance(value, dict):
        _merge(known, value)
        return known
    if (isinstance(known, str) and isinstance(value, str)) or (
        isinstance(known, list) and isinstance(value, list)
    ):
        return known + value  # type: ignore[operator] # both are texts, or both are lists
    raise malformed(f"{name} comes in two forms")
