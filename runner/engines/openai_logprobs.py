"""Reads the log probabilities that an OpenAI-compatible server answers, in each of their forms."""

from __future__ import annotations

from itertools import zip_longest
from math import inf

import msgspec

from runner.engines.lenient import Reading
from runner.engines.openai_answers import ChatLogprobs, PromptToken, TextLogprobs
from runner.errors import IncompleteResponseError
from runner.values import TokenLogprob, count


def chat_logprobs(logprobs: ChatLogprobs | None, reading: Reading) -> tuple[TokenLogprob, ...] | None:
    """Return those of a chat's tokens; None where they can't be read and nobody asked for them.

    Raises:
        IncompleteResponseError: they were asked for.
    """
    if logprobs is None:
        return None
    if logprobs.content is None:
        return _listed_logprobs(logprobs, reading)
    return tuple(
        TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            token_id=token.token_id,
            rank=token.rank,
            top=tuple((other.token, other.logprob) for other in token.top_logprobs or ()),
        )
        for token in logprobs.content
    )


def text_logprobs(logprobs: TextLogprobs | None, reading: Reading) -> tuple[TokenLogprob, ...] | None:
    """Return those of a completion; raises as `chat_logprobs` does."""
    if logprobs is None or _lacks_numbers(logprobs.token_logprobs, reading):
        return None
    if logprobs.tokens and not logprobs.token_logprobs:
        return None  # they could not be read, and nobody asked for them
    if _differ(logprobs.tokens, logprobs.token_logprobs, reading):
        return None
    tops = (logprobs.top_logprobs or [])[: len(logprobs.tokens)]
    return tuple(
        TokenLogprob(token=token, logprob=logprob or 0.0, top=tuple(top.items()) if top else ())
        for token, logprob, top in zip_longest(logprobs.tokens, logprobs.token_logprobs, tops)
    )


def _listed_logprobs(logprobs: ChatLogprobs, reading: Reading) -> tuple[TokenLogprob, ...] | None:
    if not logprobs.tokens or not logprobs.token_logprobs or _lacks_numbers(logprobs.token_logprobs, reading):
        return None
    length = len(logprobs.tokens)
    tops = logprobs.top_logprobs if isinstance(logprobs.top_logprobs, list) else []
    if _differ(logprobs.tokens, logprobs.token_logprobs, reading):
        return None
    return tuple(
        TokenLogprob(token=token, logprob=logprob or 0.0, token_id=token_id, top=tuple((top or {}).items()))
        for token, logprob, token_id, top in zip_longest(
            logprobs.tokens, logprobs.token_logprobs, (logprobs.token_ids or [])[:length], tops[:length]
        )
    )


def _lacks_numbers(logprobs: list[float | None], reading: Reading) -> bool:
    """Tell whether lists of log probabilities hold null, and nobody asked for them.

    An echoed prompt's first token has none.

    Raises:
        IncompleteResponseError: they were asked for.
    """
    if None not in logprobs:
        return False
    sampling = reading.sampling
    echoed = (sampling.get("passthrough") or {}).get("echo")
    if None not in (logprobs[1:] if echoed else logprobs):
        return False
    if sampling.get("logprobs"):
        raise IncompleteResponseError("logprobs were asked for, and one is null")
    return True


def _differ(tokens: list[str], logprobs: list[float | None], reading: Reading) -> bool:
    """Tell whether lists side by side differ in length, and nobody asked for them.

    Raises:
        IncompleteResponseError: they were asked for.
    """
    if len(tokens) == len(logprobs):
        return False
    if reading.sampling.get("logprobs"):
        told = f"{count(len(tokens), 'token')}, and {len(logprobs)} log probabilities"
        raise IncompleteResponseError(f"logprobs were asked for, the answer has {told}")
    return True


def prompt_logprobs(
    told: list[dict[int, PromptToken] | None], ids: list[int] | None
) -> tuple[TokenLogprob | None, ...]:
    """Return the prompt's own tokens, each with its alternatives; the first token has no logprob."""
    found: list[TokenLogprob | None] = []
    for place, alternatives in enumerate(told):
        if not alternatives:
            found.append(None)
            continue
        own = ids[place] if ids is not None and place < len(ids) else None
        if own is None or own not in alternatives:
            own = next(iter(alternatives))
        by_rank = sorted(alternatives.values(), key=lambda token: token.rank or 0)
        top = tuple((one.decoded_token or "", one.logprob) for one in by_rank if one.logprob != -inf)
        chosen = alternatives[own]
        found.append(TokenLogprob(chosen.decoded_token or "", chosen.logprob, own, top, chosen.rank))
    return tuple(found)


def with_ids(
    logprobs: tuple[TokenLogprob, ...] | None, ids: tuple[int, ...] | None
) -> tuple[TokenLogprob, ...] | None:
    """Return log probabilities with the ids of their tokens, which vLLM lists beside them."""
    if not logprobs or ids is None or len(ids) != len(logprobs) or logprobs[0].token_id is not None:
        return logprobs
    return tuple([msgspec.structs.replace(one, token_id=id_) for one, id_ in zip(logprobs, ids, strict=True)])


def cumulative_logprob(logprobs: tuple[TokenLogprob, ...] | None) -> float | None:
    """Return the log probability of all tokens together."""
    return sum(token.logprob for token in logprobs) if logprobs is not None else None
