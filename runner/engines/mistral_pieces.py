"""Mistral's answers that come in pieces, put together."""

from __future__ import annotations

from dataclasses import dataclass, field

from mistralai.client import models

from runner.engines.course import Course
from runner.engines.mistral_wire import finish_of, logprobs_of, text_of, thoughts_of, usage_of
from runner.engines.provider_wire import malformed, tool_call
from runner.values import Choice, Response, TokenLogprob

_UNNAMED = frozenset({None, "", "null"})
"""Ids of a call that goes on; the SDK fills in the last where there is none."""


@dataclass(slots=True)
class _Call:
    """A call of a tool, as far as it has come."""

    index: int
    id: str
    name: str
    arguments: str | dict[str, object]


@dataclass(slots=True)
class _Choice:
    """What is known of one choice."""

    text: str = ""
    thoughts: str = ""
    calls: list[_Call] = field(default_factory=list)
    logprobs: list[TokenLogprob] | None = None
    reason: str | None = None

    def add(self, piece: models.CompletionResponseStreamChoice) -> bool:
        """Add a piece and tell whether the model speaks in it."""
        delta = piece.delta
        text, thoughts = text_of(delta.content), thoughts_of(delta.content) or ""
        self.text += text
        self.thoughts += thoughts
        if (tokens := logprobs_of(piece.logprobs)) is not None:
            self.logprobs = [*(self.logprobs or ()), *tokens]
        for call in delta.tool_calls or ():
            self._add_call(call)
        if piece.finish_reason:
            self.reason = str(piece.finish_reason)
        return bool(text or thoughts or delta.tool_calls)

    def _add_call(self, piece: models.ToolCall) -> None:
        """Add a call, or a piece of the last one with its index."""
        index, name, arguments = piece.index or 0, piece.function.name, piece.function.arguments
        known = next((call for call in reversed(self.calls) if call.index == index), None)
        if known is None or (piece.id not in _UNNAMED and piece.id != known.id):
            self.calls.append(_Call(index, piece.id or "", name, arguments))
            return
        if not isinstance(arguments, str) or not isinstance(known.arguments, str):
            raise malformed("the arguments of a call come in two forms")
        known.name = known.name or name
        known.arguments += arguments

    def whole(self) -> Choice:
        logprobs = tuple(self.logprobs) if self.logprobs is not None else None
        return Choice(
            text=self.text,
            finish_reason=finish_of(self.reason) if self.reason else None,
            logprobs=logprobs,
            cumulative_logprob=sum(token.logprob for token in logprobs) if logprobs is not None else None,
            reasoning=self.thoughts or None,
            tool_calls=tuple(tool_call(call.id, call.name, call.arguments) for call in self.calls),
        )


class Pieces:
    """The pieces of one answer; `add` them in order, then read `response`."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._choices: dict[int, _Choice] = {}
        self._usage: models.UsageInfo | None = None
        self._version: str | None = None

    def add(self, event: models.CompletionChunk) -> None:
        """Add one event.

        Raises:
            MalformedResponseError: it doesn't go on from those before it.
        """
        self._version = event.model or self._version
        self._usage = event.usage or self._usage
        spoken = False
        for piece in event.choices:
            self._course.note(piece.index, piece.finish_reason)
            spoken |= self._choices.setdefault(piece.index, _Choice()).add(piece)
        if spoken:
            self._course.spoke()

    def response(self) -> Response:
        """Return the whole."""
        return Response(
            choices=tuple(choice.whole() for _, choice in sorted(self._choices.items())),
            usage=usage_of(self._usage or models.UsageInfo()),
            engine="mistral",
            engine_version=self._version,
        )
