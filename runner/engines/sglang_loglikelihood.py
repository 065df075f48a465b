"""How likely continuations are, asked of SGLang: one request to its own /generate for all of a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import msgspec

from runner.engines.lenient import Count, Reading, counted
from runner.engines.loglikelihood import prompts_of, summed, summed_counts
from runner.engines.provider_wire import decode
from runner.engines.task_wire import Wire
from runner.errors import MalformedResponseError
from runner.values import Request, Response, TokenLogprob, Usage, count

_Told: TypeAlias = tuple[float | None, int, str | None]
"""A token: its logprob, which a prompt's first one lacks, its id, and its text if that was asked for."""


class _Meta(msgspec.Struct):
    input_token_logprobs: list[_Told]
    prompt_tokens: Count = None
    input_top_logprobs: list[list[_Told] | None] = []


class _Generated(msgspec.Struct):
    meta_info: _Meta


_generated = msgspec.json.Decoder(list[_Generated])


def _body(requests: Sequence[Request]) -> dict[str, Any]:
    (request,) = requests
    asked = {
        "text": prompts_of(request),
        # An answer has at least one token; nobody looks at it.
        "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
        "return_logprob": True,
        "logprob_start_len": 0,
        "top_logprobs_num": 1,
    }
    return asked | (request.sampling.get("passthrough") or {})


def _read(body: bytes, requests: Sequence[Request], reading: Reading) -> list[Response]:
    (request,) = requests
    found = [one.meta_info for one in decode(_generated, body, reading)]
    if len(found) != len(prompts_of(request)):
        answered = count(len(found) - 1, "continuation")
        raise MalformedResponseError(f"{answered} answered, not all that were asked")
    alone, *whole = found
    start = len(alone.input_token_logprobs)
    return [
        Response(
            loglikelihoods=tuple(summed(_tokens(one), start) for one in whole),
            usage=Usage(summed_counts([counted(one.prompt_tokens) for one in (alone, *whole)]), 0),
        )
    ]


def _tokens(meta: _Meta) -> list[TokenLogprob | None]:
    told = meta.input_token_logprobs
    tops = zip_longest(told, meta.input_top_logprobs[: len(told)])
    return [_token(logprob, token, top or ()) for (logprob, token, _), top in tops]


def _token(logprob: float | None, token: int, top: Sequence[_Told]) -> TokenLogprob | None:
    if logprob is None:
        return None
    likeliest = tuple(("", other) for other, _, _ in top if other is not None)
    return TokenLogprob("", logprob, token, likeliest)


LOGLIKELIHOOD = Wire("//generate", _body, _read)
