"""How likely continuations are, asked of an engine that tells the logprobs and ids of a prompt's tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import isfinite

import msgspec

from runner.errors import BadRequestError, IncompleteResponseError
from runner.values import Json, Loglikelihood, Request, Response, Timing, TokenLogprob, Usage

Generate = Callable[[Request], Awaitable[Response]]
"""Answers a request of task complete."""


async def loglikelihood(request: Request, generate: Generate) -> Response:
    """Return how likely each continuation of a context is; raises as `prompts_of` does."""
    head, *texts = prompts_of(request)
    alone, *whole = await _all(
        generate(_prompt(request, head, {})),
        *(generate(_prompt(request, text, {"prompt_logprobs": 1})) for text in texts),
    )
    start = len(alone.prompt_token_ids or ())
    first = whole[0]
    return Response(
        loglikelihoods=tuple(summed(response.prompt_logprobs, start) for response in whole),
        usage=Usage(summed_counts([one.usage.prompt_tokens for one in (alone, *whole)]), 0),
        timing=Timing(max(response.timing.seconds for response in (alone, *whole))),
        engine=first.engine,
        engine_version=first.engine_version,
    )


def summed_counts(counts: Sequence[int | None]) -> int | None:
    """Return the sum of counts of tokens; unknown, where one is."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def prompts_of(request: Request) -> list[str]:
    """Return the context alone, and with each continuation behind it.

    They are tokenized together, as a model would see them; a continuation's tokens are those behind as
    many as the context has alone. Blanks at the context's end count as the continuation's, since
    tokenizers put them there.

    Raises:
        BadRequestError: the context or a continuation is empty.
    """
    assert isinstance(request.input, dict)
    context: str = request.input["context"]
    continuations: list[str] = request.input["continuations"]
    head = context.rstrip()
    if not head or not all(continuations):
        raise BadRequestError("a context and its continuations need text: one of them is empty")
    return [head, *(context + continuation for continuation in continuations)]


def _prompt(request: Request, text: str, further: dict[str, Json]) -> Request:
    # An answer has at least one token; nobody looks at it.
    asked = {"max_tokens": 1, "temperature": 0.0, "return_token_ids": True, **further}
    passthrough = request.sampling.get("passthrough")
    sampling = asked if passthrough is None else {**asked, "passthrough": passthrough}
    return msgspec.structs.replace(request, task="complete", input=text, sampling=sampling)


def summed(logprobs: Sequence[TokenLogprob | None] | None, start: int) -> Loglikelihood:
    """Return how likely a prompt's tokens from number *start* on are.

    Raises:
        IncompleteResponseError: the logprobs of some are missing, or no numbers.
    """
    told = [token for token in (logprobs or ())[start:] if token is not None]
    if not told or start < 1 or len(told) != len(logprobs or ()) - start:
        raise IncompleteResponseError("the answer lacks logprobs of a continuation's tokens")
    if not isfinite(total := sum(token.logprob for token in told)):
        raise IncompleteResponseError("the logprobs of a continuation's tokens hold NaN or infinity")
    greedy = all(token.logprob >= max((logprob for _, logprob in token.top), default=0.0) for token in told)
    return Loglikelihood(total, len(told), greedy)


async def _all(*asked: Awaitable[Response]) -> list[Response]:
    """Return all responses; the first error ends the rest."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
