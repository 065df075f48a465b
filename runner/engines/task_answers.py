"""What servers answer to tasks that are answered with numbers: only the fields that are read."""

# ruff: noqa: ARG001 - the readers of a `Wire` share one signature

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from runner.engines.in_band import answered_error
from runner.engines.lenient import Count, Reading, counted
from runner.engines.non_finite import require_finite
from runner.engines.provider_wire import decode
from runner.errors import IncompleteResponseError, MalformedResponseError
from runner.values import Json, Request, Response, Usage, count

_FLOAT = 4


class _Usage(msgspec.Struct):
    prompt_tokens: Count = None


class _Vector(msgspec.Struct):
    embedding: str | list[float]
    index: int | None = None


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: _Usage | None = None


class _Score(msgspec.Struct):
    score: float


class _Scores(msgspec.Struct):
    data: list[_Score]
    usage: _Usage | None = None


class _Ranked(msgspec.Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None


class _Ranking(msgspec.Struct):
    results: list[_Ranked]
    usage: _Usage | None = None


class _Class(msgspec.Struct):
    probs: list[float]
    label: str | None = None


class _Classes(msgspec.Struct):
    data: list[_Class]
    usage: _Usage | None = None


class _Pooled(msgspec.Struct):
    data: list[list[float] | float] | float


class _Pooling(msgspec.Struct):
    data: list[_Pooled]
    usage: _Usage | None = None


class _Embedded(msgspec.Struct):
    embedding: list[float]


_NOTHING = Reading()
_vectors = msgspec.json.Decoder(_Vectors)
_scores = msgspec.json.Decoder(_Scores)
_ranking = msgspec.json.Decoder(_Ranking)
_ranked = msgspec.json.Decoder(list[_Ranked])
_classes = msgspec.json.Decoder(_Classes)
_pooling = msgspec.json.Decoder(_Pooling)
_embedded = msgspec.json.Decoder(_Embedded)


def fields_of(request: Request) -> dict[str, Json]:
    assert isinstance(request.input, dict), f"task {request.task} sends named texts"
    return request.input


def _used(usage: _Usage | None) -> Usage:
    return Usage(prompt_tokens=counted(usage.prompt_tokens) if usage else None, completion_tokens=0)


def read_vectors(body: bytes, requests: Sequence[Request], reading: Reading = _NOTHING) -> list[Response]:
    """Read the answer to /embeddings: as many vectors as there are requests.

    Raises:
        MalformedResponseError: it has others.
        AskError: it tells of an error instead.
    """
    answer = decode(_vectors, body, reading)
    if len(answer.data) != len(requests) and (error := answered_error(body)):
        raise error
    if any(one.index is not None for one in answer.data):
        answer.data.sort(key=lambda one: one.index or 0)
    return embedded([one.embedding for one in answer.data], _used(answer.usage).prompt_tokens, requests)


def embedded(
    vectors: Sequence[str | Sequence[float]], tokens: int | None, requests: Sequence[Request]
) -> list[Response]:
    """Return a response for each request of a batch from its vectors, in order, and its tokens.

    Raises:
        MalformedResponseError: there are other than as many vectors as requests, or one is none.
    """
    if len(vectors) != len(requests):
        raise MalformedResponseError(
            f"{count(len(requests), 'input')}, the answer has {count(len(vectors), 'vector')}"
        )
    return [
        Response(embeddings=(float32(vector),), usage=Usage(prompt_tokens=share, completion_tokens=0))
        for vector, share in zip(vectors, shared_out(tokens, requests), strict=True)
    ]


def float32(given: str | Sequence[float]) -> bytes:
    """Return a vector as little-endian float32, from base64 of that or from numbers.

    Raises:
        MalformedResponseError: it is empty, no base64 of whole numbers of 4 bytes, or has too large a number.
        IncompleteResponseError: it holds NaN or infinity.
    """
    if isinstance(given, str):
        try:
            vector = base64.b64decode(given, validate=True)
        except binascii.Error as error:
            raise MalformedResponseError(f"a vector is no base64: {error}") from None
    else:
        try:
            vector = struct.pack(f"<{len(given)}f", *given)
        except OverflowError:
            raise MalformedResponseError("a vector has a number that float32 can't hold") from None
    if not vector or len(vector) % _FLOAT:
        raise MalformedResponseError(
            f"a vector has {count(len(vector), 'byte')}, expected a multiple of {_FLOAT}"
        )
    require_finite(vector)
    return vector


def shared_out(tokens: int | None, requests: Sequence[Request]) -> Sequence[int | None]:
    """Share the tokens of a batch out by the length of its inputs; servers report only the sum."""
    if tokens is None:
        return [None] * len(requests)
    lengths = [len(str(request.input)) or 1 for request in requests]
    total, shares, before = sum(lengths), [], 0
    for length in lengths:
        share = tokens * (before + length) // total - tokens * before // total
        shares.append(share)
        before += length
    return shares


def read_score(body: bytes, requests: Sequence[Request], reading: Reading = _NOTHING) -> list[Response]:
    answer = decode(_scores, body, reading)
    if len(answer.data) != 1:
        raise MalformedResponseError(f"one pair, the answer has {len(answer.data)} scores")
    return [Response(scores=(answer.data[0].score,), usage=_used(answer.usage))]


def read_ranking(body: bytes, requests: Sequence[Request], reading: Reading = _NOTHING) -> list[Response]:
    answer = decode(_ranking, body, reading)
    return [Response(scores=_in_order(answer.results, requests[0]), usage=_used(answer.usage))]


def read_listed(body: bytes, requests: Sequence[Request], reading: Reading = _NOTHING) -> list[Response]:
    scores = _in_order(decode(_ranked, body, reading), requests[0])
    return [Response(scores=scores, usage=_used(None))]


def _in_order(results: list[_Ranked], request: Request) -> tuple[float, ...]:
    """Return the scores in the documents' order; servers sort them by score."""
    documents = len(fields_of(request).get("documents") or [None])
    scores = {one.index: one.score if one.relevance_score is None else one.relevance_score for one in results}
    found = [score for index in range(documents) if (score := scores.get(index)) is not None]
    if len(found) < documents:
        raise IncompleteResponseError(
            f"{count(documents, 'document')}, the answer has scores of {len(found)}"
        )
    return tuple(found)


def read_classes(body: bytes, requests: Sequence[Request], reading: Reading = _NOTHING) -> list[Response]:
    answer = decode(_classes, body, reading)
    if len(answer.data) != 1 or not answer.data[0].probs:
        raise MalformedResponseError(f"one input, the answer has {count(len(answer.data), 'classification')}")
    found = answer.data[0]
    return [Response(label=found.label, probs=tuple(found.probs), usage=_used(answer.usage))]


def read_pooling(body: bytes, requests: Sequence[Request], reading: Reading = _NOTHING) -> list[Response]:
    answer = decode(_pooling, body, reading)
    if len(answer.data) != 1:
        raise MalformedResponseError(f"one input, the answer has {len(answer.data)} results")
    return [Response(scores=(_one_number(answer.data[0].data),), usage=_used(answer.usage))]


def read_native_reward(
    body: bytes,
    requests: Sequence[Request],
    reading: Reading = _NOTHING,
) -> list[Response]:
    reward = _one_number(decode(_embedded, body, reading).embedding)
    return [Response(scores=(reward,), usage=_used(None))]


def _one_number(data: Any) -> float:
    """Return a reward: the only number, or that of the last token."""
    last = data
    while isinstance(last, list) and last and (len(last) == 1 or isinstance(last[0], list)):
        last = last[-1]
    if isinstance(last, list):
        problem = f"a reward is one number, the model gives {len(last)}"
        raise IncompleteResponseError(f"{problem}: is it a reward model?")
    return float(last)
