"""Anthropic's answers that come in pieces, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from runner.engines.anthropic_wire import Block, Counts, Message, response_of
from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.lenient import Reading
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import decode
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


_event = msgspec.json.Decoder(_Event)
_KNOWN = frozenset({
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
})


class _Type(msgspec.Struct):
    type: object = None


@dataclass(slots=True)
class _Begun:
    """A block that has begun; gateways were seen to give several one index."""

    index: int
    block: Block
    arguments: str = ""

    def whole(self) -> Block:
        if self.arguments:
            self.block.input = _read(self.arguments)
        return self.block


class Pieces:
    """The pieces of one answer; `add` them in order, then read `response`."""

    def __init__(self, course: Course, reading: Reading) -> None:
        self._course = course
        self._reading = reading
        self._message = Message(content=[])
        self._begun: list[_Begun] = []
        self._open: dict[int, _Begun] = {}

    def add(self, data: bytes) -> Chunk:
        """Add one event and return what it adds.

        Raises:
            MalformedResponseError: it is not what the API documents.
        """
        if not _is_known(data):
            self._course.skip(data)
            return Chunk()
        event = decode(_event, data, self._reading)
        if event.message is not None:
            self._message = event.message
            self._course.note(0, None)
        if event.content_block is not None:
            self._begin(event.index, event.content_block)
        if event.usage is not None:
            self._count(event.usage)
        if event.type == "message_stop":
            self._course.done = True
            if not self._course.skipped:
                self._course.note(0, event.type)
        if self._hear(event):
            self._course.spoke()
        return self._chunk(event)

    def response(self) -> Response:
        """Return the whole; raises as `Course.require_end` does."""
        self._course.require_end()
        self._message.content = [one.whole() for one in sorted(self._begun, key=lambda one: one.index)]
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
        begun = self._open.get(event.index) or self._begin(event.index, Block("text"))
        begun.block.text += delta.text
        begun.block.thinking += delta.thinking
        begun.arguments += delta.partial_json
        return bool(delta.text or delta.thinking or delta.partial_json)

    def _chunk(self, event: _Event) -> Chunk:
        block, delta = event.content_block, event.delta
        if event.type == "content_block_start" and block is not None:
            if block.type == "tool_use":
                function = {"name": block.name, "arguments": ""}
                return self._call(event.index, id=block.id, type="function", function=function)
            return Chunk(text=block.text, reasoning=block.thinking or None)
        if event.type != "content_block_delta" or delta is None:
            return Chunk()
        if delta.partial_json:
            return self._call(event.index, function={"arguments": delta.partial_json})
        return Chunk(text=delta.text, reasoning=delta.thinking or None)

    def _call(self, index: int, **piece: Any) -> Chunk:
        """Return a piece of a call in the OpenAI form, where calls are counted by themselves."""
        calls = [one for one in self._begun if one.block.type == "tool_use"]
        own = self._open.get(index)
        place = next((place for place, one in enumerate(calls) if one is own), len(calls))
        return Chunk(tool_calls=({"index": place, **piece},))

    def _begin(self, index: int, block: Block) -> _Begun:
        self._open[index] = begun = _Begun(index, block)
        self._begun.append(begun)
        return begun

    def _count(self, usage: Counts) -> None:
        """Take the counts of a later event for those before it, where it has them."""
        known = self._message.usage or Counts()
        later = {
            name: count for name in usage.__struct_fields__ if (count := getattr(usage, name)) is not None
        }
        self._message.usage = msgspec.structs.replace(known, **later)


def _is_known(data: bytes) -> bool:
    try:
        return msgspec.json.decode(data, type=_Type).type in _KNOWN
    except (*UNREADABLE, TypeError):
        return False


def _read(arguments: str) -> Any:
    """Return what a call's arguments are; those that were cut off stay text."""
    try:
        return msgspec.json.decode(arguments)
    except UNREADABLE:
        return arguments
