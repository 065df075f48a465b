"""Reads answers that come in pieces, as the OpenAI API streams them: the whole and its times, and chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from runner.engines.asked import require_served
from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.openai_chunks import said_in
from runner.engines.openai_pieces import ChoicePieces
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed
from runner.engines.sse import DONE
from runner.engines.tool_pieces import as_index
from runner.errors import MalformedResponseError
from runner.values import Timing


async def put_together(events: AsyncGenerator[bytes], course: Course) -> tuple[bytes, Timing]:
    """Return the body of the answer as if it had come in one piece, and its times.

    Raises:
        AskError: an event tells of an error.
        MalformedResponseError: an event is not what the API documents.
        ServerError: the server says that it failed, or ended the answer without a finish reason.
        ConnectionFailedError: the stream ended before the answer did.
    """
    fields: dict[str, Any] = {}
    choices: dict[int, ChoicePieces] = {}
    async with aclosing(events):
        async for data in events:
            for piece, index in _pieces(data, course, fields):
                if (choice := choices.get(index)) is None:
                    choice = choices[index] = ChoicePieces()
                if choice.add(piece):
                    course.spoke()
    course.require_end()
    return _whole(fields, choices), course.timing()


async def chunked(
    events: AsyncGenerator[bytes], course: Course, task: str
) -> AsyncGenerator[Chunk | tuple[bytes, Timing]]:
    """Yield what each event adds to a choice, and at last what `put_together` returns; raises as that does.

    The first choice is chunk 0 where there is to be only one, whatever its index.
    """
    fields: dict[str, Any] = {}
    choices: dict[int, ChoicePieces] = {}
    async with aclosing(events):
        async for data in events:
            for piece, index in _pieces(data, course, fields):
                require_served(piece.get("finish_reason"))
                if (choice := choices.get(index)) is None:
                    choice = choices[index] = ChoicePieces()
                place = index if course.asked > 1 else list(choices).index(index)
                begun = choice.begun
                if choice.add(piece):
                    course.spoke()
                said = said_in(piece, task, choice, begun=begun)
                yield Chunk(place, *said, tool_calls=choice.new_calls())
    course.require_end()
    yield _whole(fields, choices), course.timing()


def _whole(fields: dict[str, Any], choices: dict[int, ChoicePieces]) -> bytes:
    whole = [choice.whole(index) for index, choice in sorted(choices.items())]
    return msgspec.json.encode({**fields, "choices": whole})


class _Choices(msgspec.Struct):
    """An event of which no more is known than whether it holds choices."""

    choices: Any = None


class _Event(msgspec.Struct):
    """One event; what isn't in its choices stands for itself."""

    choices: list[dict[str, Any]] | None = None
    usage: Any = None
    system_fingerprint: Any = None
    model: Any = None
    prompt_token_ids: Any = None
    prompt_logprobs: Any = None


_event = msgspec.json.Decoder(_Event)
_WHOLE = ("usage", "system_fingerprint", "model", "prompt_token_ids", "prompt_logprobs")


def _pieces(
    data: bytes, course: Course, fields: dict[str, Any] | None = None
) -> list[tuple[dict[str, Any], int]]:
    """Return the pieces of choices that an event brings, each with the choice's index.

    What is beside the choices goes into *fields*.
    """
    if data == DONE:
        course.done = True
        return []
    event = _read(data)
    if event is None:
        course.skip(data)
        return []
    if fields is not None:
        fields |= {name: told for name in _WHOLE if (told := getattr(event, name))}
    if not event.choices:
        course.keep(data)
        return []
    found = []
    for place, piece in enumerate(event.choices):
        index = _index(piece, place, course)
        course.note(index, piece.get("finish_reason"))
        found.append((piece, index))
    return found


def _index(piece: dict[str, Any], place: int, course: Course) -> int:
    try:
        return as_index(piece.get("index"), place)
    except MalformedResponseError:
        if course.asked > 1:
            raise
        return place  # it tells nothing of the only choice


def _read(data: bytes) -> _Event | None:
    """Decode an event; None where it is no part of an answer."""
    try:
        event = _event.decode(data)
    except UNREADABLE as error:
        if _has_choices(data):
            raise malformed(error, data) from None
        return None
    if event.choices is None and event.usage is None and event.prompt_logprobs is None:
        return None
    return event


def _has_choices(data: bytes) -> bool:
    """Tell whether an event that can't be read holds choices, so that it is a part of the answer."""
    try:
        return bool(msgspec.json.decode(data, type=_Choices).choices)
    except UNREADABLE:
        return False
