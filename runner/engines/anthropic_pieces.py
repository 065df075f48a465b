"""Anthropic's answers that come in pieces, put together."""

from __future__ import annotations

from typing import Any

import msgspec

from runner.engines.anthropic_wire import Block, Counts, Message, response_of
from runner.engines.course import Course
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed
from runner.values import Response


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: Counts | None = None


class Pieces:
    """The pieces of one answer; `add` them in order, then read `response`."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._message = Message(content=[])
        self._blocks: dict[int, Block] = {}
        self._arguments: dict[int, str] = {}

    def add(self, told: dict[str, Any]) -> None:
        """Add one event.

        Raises:
            MalformedResponseError: it is not what the API documents.
        """
        try:
            event = msgspec.convert(told, _Event)
        except UNREADABLE as error:
            raise malformed(error) from None
        if event.message is not None:
            self._message = event.message
        if event.content_block is not None:
            self._blocks[event.index] = event.content_block
        if event.usage is not None:
            self._count(event.usage)
        if event.type == "message_stop":
            self._course.done = True
        if self._hear(event):
            self._course.spoke()

    def response(self) -> Response:
        """Return the whole."""
        for index, arguments in self._arguments.items():
            self._blocks[index].input = _read(arguments)
        self._message.content = [block for _, block in sorted(self._blocks.items())]
        return response_of(self._message)

    def _hear(self, event: _Event) -> bool:
        """Add what the model says in an event, and tell whether there is any."""
        delta, block = event.delta, event.content_block
        if event.type == "message_delta" and delta is not None:
            self._message.stop_reason = delta.stop_reason or self._message.stop_reason
            self._course.note(0, delta.stop_reason)
            return False
        if event.type != "content_block_delta" or delta is None:
            return block is not None and bool(block.text or block.thinking or block.name)
        begun = self._blocks.setdefault(event.index, Block("text"))
        begun.text += delta.text
        begun.thinking += delta.thinking
        if delta.partial_json:
            self._arguments[event.index] = self._arguments.get(event.index, "") + delta.partial_json
        return bool(delta.text or delta.thinking or delta.partial_json)

    def _count(self, usage: Counts) -> None:
        """Take the counts of a later event for those before it, where it has them."""
        known = self._message.usage or Counts()
        later = {
            name: count for name in usage.__struct_fields__ if (count := getattr(usage, name)) is not None
        }
        self._message.usage = msgspec.structs.replace(known, **later)


def _read(arguments: str) -> Any:
    """Return what a call's arguments are; those that were cut off stay text."""
    try:
        return msgspec.json.decode(arguments)
    except UNREADABLE:
        return arguments
