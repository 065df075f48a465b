"""The values that travel through the runner; all frozen, all plain JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeAlias, cast

import msgspec

from runner.as_dict import AsDict

SCHEMA_VERSION = 1
"""Joins every request key; raised when the meaning of a request changes."""

Json: TypeAlias = Any
Message: TypeAlias = dict[str, Any]
"""One turn in the OpenAI form: ``{"role": ..., "content": ...}``."""

Input: TypeAlias = tuple[Message, ...] | tuple[int, ...] | str | dict[str, Json]
"""What a request sends: messages; a raw prompt, as text or token ids; or the named texts of a task."""

VALUE_TASKS = frozenset({"embed", "score", "rerank", "classify", "reward", "loglikelihood"})
"""Tasks that are answered with numbers; chat and complete are answered with text."""

_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(value: Json) -> bytes:
    """Encode *value* as UTF-8 JSON with sorted keys and no spaces."""
    return _encoder.encode(value)


def count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 point, 2 points."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def spelled(value: Json, longest: int = 60) -> str:
    """Return a value for a message, cut if long: text in quotes, all else as JSON, with null and true."""
    whole = json.dumps(value, ensure_ascii=False, skipkeys=True, default=repr)
    return (repr(value) if isinstance(value, str) else whole)[:longest]


class Scope(msgspec.Struct, frozen=True, dict=True):
    """What all requests of one point share and what decides their answers.

    Attributes:
        model: name, revision or content hash, dtype, quantization, chat-template hash.
        engine: kind, base URL where it isn't the provider's own, arguments that aren't neutral.
    """

    model: Mapping[str, Json]
    engine: Mapping[str, Json]

    @cached_property
    def canonical(self) -> tuple[msgspec.Raw, msgspec.Raw]:
        """Canonical JSON of the model and of the engine, the same in the key of every request."""
        return msgspec.Raw(canonical_json(self.model)), msgspec.Raw(canonical_json(self.engine))


class Request(msgspec.Struct, frozen=True, gc=False):
    """One question to an engine.

    Attributes:
        task: ``chat``, ``complete``, or one of `VALUE_TASKS`.
        input: messages in the OpenAI form, or a raw prompt: its text, or its token ids; of task score
            ``pair``, of rerank ``query`` and ``documents``, of loglikelihood ``context`` and
            ``continuations``.
        sampling: every sampling value that reaches the engine, under our names.
        scope: what it shares with the other requests of its point.
        sample: index of this independent answer, from 0.
    """

    task: str
    input: Input
    sampling: Mapping[str, Json]
    scope: Scope
    sample: int = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of a chat, or of one whose reward is asked for; none of any other task."""
        chatted = self.task == "chat" or (self.task == "reward" and not isinstance(self.input, str))
        return cast("tuple[Message, ...]", self.input) if chatted else ()

    def canonical(self) -> bytes:
        """Return the canonical JSON that the key is the hash of."""
        model, engine = self.scope.canonical
        return _encoder.encode({
            "engine": engine,
            "input": by_content(self.input),
            "model": model,
            "sample": self.sample,
            "sampling": self.sampling,
            "schema": SCHEMA_VERSION,
            "task": self.task,
        })


def by_content(given: Input) -> Json:
    """Return an input with the hash of each image instead of the image."""
    if isinstance(given, tuple | list):
        for message in given:
            if isinstance(message, dict) and type(message.get("content")) is list:
                return [_hashed_message(one) for one in given]
    return given


def _hashed_message(message: Json) -> Json:
    content = message.get("content")
    return (
        {**message, "content": [_hashed(part) for part in content]} if isinstance(content, list) else message
    )


def _hashed(part: Json) -> Json:
    image = part.get("image_url") if isinstance(part, dict) else None
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(image, dict) or not isinstance(url, str) or not url.startswith("data:"):
        return part
    kind, _, data = url.partition(",")
    digest = hashlib.sha256(data.encode()).hexdigest()
    return {**part, "image_url": {**image, "url": f"{kind},sha256:{digest}"}}


def request_key(canonical: bytes) -> bytes:
    """Return the request key (32 bytes): SHA-256 of the request's canonical JSON."""
    return hashlib.sha256(canonical).digest()


class TokenLogprob(AsDict, frozen=True, omit_defaults=True, gc=False):
    """A chosen token, its log probability, and the most likely alternatives.

    ``rank`` is its place among all tokens, 1 for the likeliest, where the engine reports it.
    """

    token: str
    logprob: float
    token_id: int | None = None
    top: tuple[tuple[str, float], ...] = ()
    rank: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields; the alternatives as dicts, since Arrow has no lists of text and numbers."""
        top = [{"token": token, "logprob": logprob} for token, logprob in self.top]
        return {**AsDict.to_dict(self), "top": top}


class Choice(AsDict, frozen=True, omit_defaults=True, gc=False):
    """One answer.

    ``finish_reason`` is ``stop``, ``length``, ``tool_calls``, ``content_filter`` or what the
    engine said; ``text`` never holds reasoning. ``stop_reason`` is the stop string or token id that
    ended it, where the request named one and the engine reports it.
    """

    text: str = ""
    finish_reason: str | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    cumulative_logprob: float | None = None
    reasoning: str | None = None
    tool_calls: tuple[Json, ...] = ()
    parsed: Json = None
    stop_reason: int | str | None = None


class Usage(AsDict, frozen=True, omit_defaults=True, gc=False):
    """Tokens: of the prompt (cached ones included), of the answer (reasoning included); None is unknown.

    Of cached and reasoning tokens there are none where a server reports none.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = 0
    reasoning_tokens: int | None = 0

    def plus(self, other: Usage) -> Usage:
        """Return the sum of both; unknown where one is."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Usage(*(None if one is None or two is None else one + two for one, two in pairs))


class Timing(AsDict, frozen=True, omit_defaults=True, gc=False):
    """How long an answer took.

    Attributes:
        seconds: from sending to the last byte.
        attempts: made, the last one included.
        first_token: seconds from sending to the first text; only where the answer was streamed.
        inter_token: mean seconds between texts after that; only where there were several.
    """

    seconds: float = 0.0
    attempts: int = 1
    first_token: float | None = None
    inter_token: float | None = None


class Loglikelihood(AsDict, frozen=True, gc=False):
    """How likely one continuation is.

    Attributes:
        logprob: natural logarithm of its probability, summed over its tokens.
        tokens: how many it has.
        greedy: whether each of them is the likeliest, so that temperature 0 would give it.
    """

    logprob: float
    tokens: int
    greedy: bool


class Response(AsDict, frozen=True, omit_defaults=True, gc=False):
    """What an engine answered: choices, or the values of a task that is answered with numbers.

    Attributes:
        embeddings: of task embed; each float32, little-endian.
        scores: of task score and reward one, of rerank one for each document, in their order.
        label: of task classify, the name of the likeliest class, where the model names them.
        probs: of task classify, for each class.
        loglikelihoods: of each continuation, in their order.
        prompt_token_ids: the prompt as the model saw it, where `return_token_ids` asked for it.
        prompt_logprobs: of each token of the prompt, where they were asked for; the first has none.
    """

    choices: tuple[Choice, ...] = ()
    usage: Usage = Usage()
    timing: Timing = Timing()
    engine: str = ""
    engine_version: str | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    prompt_logprobs: tuple[TokenLogprob | None, ...] | None = None
    embeddings: tuple[bytes, ...] = ()
    scores: tuple[float, ...] = ()
    label: str | None = None
    probs: tuple[float, ...] = ()
    loglikelihoods: tuple[Loglikelihood, ...] = ()

    @property
    def text(self) -> str:
        """Text of the first choice."""
        return self.choices[0].text


_response_decoder = msgspec.json.Decoder(Response)
_header_decoder = msgspec.json.Decoder(tuple[Response, list[int]])


_BLOB = b"\x01"
"""First byte of a response with vectors; of JSON it is a brace."""
_LENGTH = 4


def encode_response(response: Response) -> bytes:
    """Encode a response for storage: JSON, or with vectors a blob that holds them as they are.

    A blob is the byte 1, four bytes with the length of a header (little-endian), the header (JSON: the
    response without its vectors, and the vectors' lengths), and the vectors.
    """
    if not response.embeddings:
        return msgspec.json.encode(response)
    rest = msgspec.structs.replace(response, embeddings=())
    header = msgspec.json.encode((rest, [len(vector) for vector in response.embeddings]))
    return b"".join((_BLOB, len(header).to_bytes(_LENGTH, "little"), header, *response.embeddings))


def decode_response(data: bytes) -> Response:
    """Decode what `encode_response` wrote.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    if not data.startswith(_BLOB):
        return _response_decoder.decode(data)
    start = len(_BLOB) + _LENGTH
    end = start + int.from_bytes(data[len(_BLOB) : start], "little")
    response, lengths = _header_decoder.decode(data[start:end])
    vectors = []
    for length in lengths:
        vectors.append(data[end : end + length])
        end += length
    if end != len(data):
        raise msgspec.DecodeError(f"vectors of {end} bytes, and {len(data)} are there")
    return msgspec.structs.replace(response, embeddings=tuple(vectors))


def response_json(data: bytes) -> msgspec.Raw:
    """Return a stored response as JSON, for a line of a log: a blob is a string, in base64."""
    return msgspec.Raw(b'"%b"' % base64.b64encode(data)) if data.startswith(_BLOB) else msgspec.Raw(data)


def response_stored(json: msgspec.Raw) -> bytes:
    """Return what `response_json` was given."""
    data = bytes(json)
    return base64.b64decode(data[1:-1]) if data.startswith(b'"') else data


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of a dataset.

    Attributes:
        id: value of the id column as text, else a content hash plus occurrence number.
        position: place in the dataset as the experiment reads it, from 0.
        data: the columns.
    """

    id: str
    position: int
    data: dict[str, Json]
