"""What is asked of the decoding loop, and how far each answer is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.transformers_text import Decode, Text
from runner.values import TokenLogprob

_GREEDY_BELOW = 1e-5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one request asks for, with nothing left open.

    Attributes:
        ids: tokens of the prompt.
        max_tokens: most tokens of an answer; with the prompt's they fit the context.
        seed: decides all draws of the request, together with a choice's index.
        ends: tokens that end an answer.
        barred: tokens that can't come before there are `min_tokens`.
        top_k: 0 is all of them.
        logprobs: alternatives to give for each token; None for no logprobs at all.
        prompt_logprobs: the same for the prompt's tokens.
        matcher: of the constraint, to be copied by each row; None if the answer is free.
    """

    ids: tuple[int, ...]
    max_tokens: int
    seed: str
    ends: frozenset[int]
    barred: frozenset[int]
    n: int = 1
    min_tokens: int = 0
    stops: tuple[str, ...] = ()
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    matcher: Any = None

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, rather than one drawn."""
        return self.temperature < _GREEDY_BELOW

    @property
    def penalised(self) -> bool:
        """Whether tokens that came before count."""
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1.0, 0.0, 0.0)


class Ask:
    """A request under way: one row for each of its choices.

    Made in the event loop; the thread that decodes calls `settle`.

    Attributes:
        done: set when all rows are finished, or to what went wrong.
        cancelled: nobody waits for it any more; its rows are dropped at the next token.
        prompt_logprobs: of the prompt's tokens, where they are wanted; the first token has none.
        course: when pieces of the first choice's text came.
        with_ids: whether chunks tell their tokens.
    """

    def __init__(
        self, wanted: Wanted, decode: Decode, on_chunk: Callable[[Chunk], None] | None = None
    ) -> None:
        self.course = Course("transformers", wanted.n)
        self._loop = asyncio.get_running_loop()
        self.wanted = wanted
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.cancelled = False
        self.prompt_logprobs: tuple[TokenLogprob | None, ...] | None = None
        self.rows = tuple(Row(self, index, decode) for index in range(wanted.n))
        self.with_ids = False
        self._on_chunk = on_chunk

    def tell(self, chunk: Chunk) -> None:
        """Hand a chunk on."""
        if chunk.index == 0:
            self.course.spoke()
        if self._on_chunk is not None:
            self._loop.call_soon_threadsafe(self._on_chunk, chunk)

    def settle(self) -> None:
        """Say that a row is finished."""
        if all(row.finish_reason for row in self.rows):
            self._loop.call_soon_threadsafe(self._end)

    def fail(self, error: BaseException) -> None:
        """End it with an error; called in the event loop."""
        if not self.done.done():
            self.done.set_exception(error)

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Row:
    """One choice: its tokens so far, and the generator of its draws.

    A row draws from a generator of its own, so that its neighbours in a batch change nothing.

    Attributes:
        finish_reason: why it ended, once it has.
        matcher: says what may come next, where a constraint was asked for.
    """

    def __init__(self, ask: Ask, index: int, decode: Decode) -> None:
        self.ask = ask
        self.wanted = ask.wanted
        self._index = index
        self._decode = decode
        self._shown = 0
        self._tokens_shown = 0
        self.restart()

    def restart(self) -> None:
        """Begin again, with the same draws; text that was handed on is not handed on twice."""
        self._draws = Random(f"{self.wanted.seed}/{self._index}")  # noqa: S311 - for sampling, not for secrets
        self._text = Text(self._decode, self.wanted.ids, self.wanted.stops)
        self.matcher: Any = self.wanted.matcher.deep_copy() if self.wanted.matcher is not None else None
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: str | None = None

    @property
    def over(self) -> bool:
        """Whether it needs no further token."""
        return self.finish_reason is not None or self.ask.cancelled

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._text.whole

    @property
    def bars(self) -> bool:
        """Whether it may not end yet; a constraint that leaves nothing but the end comes first."""
        if len(self.tokens) >= self.wanted.min_tokens:
            return False
        return self.matcher is None or not self.matcher.is_stopped()

    def draw(self) -> float:
        """Return the next number in [0, 1)."""
        return self._draws.random()

    def take(self, token: int, logprob: TokenLogprob | None) -> None:
        """Add a token, and end if it is the last."""
        wanted = self.wanted
        self.tokens.append(token)
        if self.matcher is not None:
            self.matcher.consume_token(token)
        if logprob is not None:
            self.logprobs.append(logprob)
        if token in wanted.ends:
            self.finish_reason = "stop"
        else:
            self._text.add_token(token, may_stop=len(self.tokens) > wanted.min_tokens)
            if self._text.stopped:
                self.finish_reason = "stop"
            elif len(self.tokens) >= wanted.max_tokens:
                self.finish_reason = "length"
        self._show()
        if self.finish_reason is not None:
            self.ask.settle()

    def _show(self) -> None:
        end = len(self._text.whole) if self.finish_reason else self._text.settled
        if end > self._shown:
            first, last = self._tokens_shown, len(self.tokens)
            ids = tuple(self.tokens[first:last]) if self.ask.with_ids else None
            logprobs = tuple(self.logprobs[first:last]) if self.wanted.logprobs is not None else None
            self.ask.tell(Chunk(self._index, self._text.whole[self._shown : end], ids, logprobs))
            self._shown, self._tokens_shown = end, max(first, last)
