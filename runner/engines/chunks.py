"""Pieces of an answer that is streamed, in one form for all engines, and the rest that completes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from runner.as_dict import AsDict
from runner.engines.stops import StoppedText, stops_of
from runner.values import Choice, Json, Request, Response, TokenLogprob, Usage


class Chunk(AsDict, frozen=True, omit_defaults=True):
    """What one piece of a stream adds to one choice. The chunks of a choice add up to it.

    Where an answer was cut off in a tool call, they have the piece of it that came, the choice none.

    Attributes:
        index: which choice it belongs to.
        text: text of the answer; what may be the beginning of a stop string comes later.
        token_ids: tokens, where the engine reports them; they may come before their text.
        logprobs: log probabilities of tokens, in the same way.
        reasoning: text of the reasoning.
        tool_calls: pieces of calls in the OpenAI form: ``index`` says of which call, the pieces of its
            ``function.arguments`` add up.
        finish_reason: why the choice ended; only on its last chunk.
        usage: the tokens of the whole request; only on the last chunk of all.
    """

    index: int = 0
    text: str = ""
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    reasoning: str | None = None
    tool_calls: tuple[Json, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


def whole_chunks(response: Response) -> Iterator[Chunk]:
    """Yield a response as one chunk a choice."""
    return _rest(response, {})


async def response_of(items: AsyncGenerator[Chunk | Response]) -> Response:
    """Return the response that a stream ends with, for whoever doesn't read its chunks."""
    async with aclosing(items):
        async for item in items:
            if isinstance(item, Response):
                return item
    raise AssertionError("a stream ends with the response")


async def completed(
    items: AsyncGenerator[Chunk | Response], request: Request
) -> AsyncGenerator[Chunk | Response]:
    """Yield what an engine streams, with whatever chunks are lacking before the response, which comes last.

    An engine yields the chunks that it has, as it has them: the text before a stop string was seen, and no
    finish reasons or usage. It may yield nothing but the response.
    """
    stops = stops_of(request)
    sent: dict[int, _Sent] = {}
    async with aclosing(items):
        async for item in items:
            if isinstance(item, Response):
                for chunk in _rest(item, sent):
                    yield chunk
                yield item
                return
            if (known := sent.get(item.index)) is None:
                known = sent[item.index] = _Sent(StoppedText(stops))
            if (ready := known.ready(item)) is not None:
                yield ready


@dataclass(slots=True)
class _Sent:
    """What of a choice was handed on."""

    text: StoppedText = field(default_factory=lambda: StoppedText(()))
    shown: int = 0
    tokens: int = 0
    logprobs: int = 0
    reasoning: str = ""
    called: bool = False

    def ready(self, chunk: Chunk) -> Chunk | None:
        """Return what of a chunk may be handed on."""
        if chunk.text and not self.text.stopped:
            self.text.add(chunk.text)
        start, self.shown = self.shown, max(self.shown, self.text.settled)
        self.tokens += len(chunk.token_ids or ())
        self.logprobs += len(chunk.logprobs or ())
        self.reasoning += chunk.reasoning or ""
        self.called |= bool(chunk.tool_calls)
        ready = Chunk(
            chunk.index,
            self.text.whole[start : self.shown],
            chunk.token_ids or None,
            chunk.logprobs or None,
            chunk.reasoning or None,
            chunk.tool_calls,
        )
        return ready if ready != Chunk(chunk.index) else None

    def rest(self, index: int, choice: Choice) -> Chunk:
        """Return what is lacking of the whole choice."""
        return Chunk(
            index,
            _after(self.text.whole[: self.shown], choice.text),
            (choice.token_ids or ())[self.tokens :] or None,
            (choice.logprobs or ())[self.logprobs :] or None,
            _after(self.reasoning, choice.reasoning or "") or None,
            () if self.called else tuple(_pieces(choice.tool_calls)),
            choice.finish_reason,
        )


def _rest(response: Response, sent: dict[int, _Sent]) -> Iterator[Chunk]:
    last = len(response.choices) - 1
    for index, choice in enumerate(response.choices):
        chunk = (sent.get(index) or _Sent()).rest(index, choice)
        yield chunk if index < last else msgspec.structs.replace(chunk, usage=response.usage)


def _after(sent: str, whole: str) -> str:
    return whole.removeprefix(sent) if whole.startswith(sent) else ""


def _pieces(calls: tuple[Json, ...]) -> Iterator[Json]:
    for index, call in enumerate(calls):
        yield {"index": index, **call} if isinstance(call, dict) else call
