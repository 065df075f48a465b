"""The values that travel through the runner; all frozen, all plain JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

SCHEMA_VERSION = 1
"""Joins every request key; raised when the meaning of a request changes."""

Json: TypeAlias = Any
Message: TypeAlias = dict[str, Any]
"""One turn in the OpenAI form: ``{"role": ..., "content": ...}``."""

_encoder = msgspec.json.Encoder(order="sorted")


def canonical_json(value: Json) -> bytes:
    """Encode *value* as UTF-8 JSON with sorted keys and no spaces."""
    return _encoder.encode(value)


class Scope(msgspec.Struct, frozen=True):
    """What all requests of one point share and what decides their answers.

    Attributes:
        model: name, revision or content hash, dtype, quantization, chat-template hash.
        engine: kind, base URL where it isn't the provider's own, arguments that aren't neutral.
    """

    model: Mapping[str, Json]
    engine: Mapping[str, Json]


class Request(msgspec.Struct, frozen=True):
    """One question to an engine.

    Attributes:
        task: ``chat`` or ``complete``.
        input: messages in the OpenAI form, or a raw prompt.
        sampling: every sampling value that reaches the engine, under our names.
        scope: what it shares with the other requests of its point.
        sample: index of this independent answer, from 0.
    """

    task: str
    input: tuple[Message, ...] | str
    sampling: Mapping[str, Json]
    scope: Scope
    sample: int = 0

    def canonical(self) -> bytes:
        """Return the canonical JSON that the key is the hash of."""
        return _encoder.encode({
            "engine": self.scope.engine,
            "input": self.input,
            "model": self.scope.model,
            "sample": self.sample,
            "sampling": self.sampling,
            "schema": SCHEMA_VERSION,
            "task": self.task,
        })


def request_key(canonical: bytes) -> bytes:
    """Return the request key (32 bytes): SHA-256 of the request's canonical JSON."""
    return hashlib.sha256(canonical).digest()


class TokenLogprob(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chosen token, its log probability, and the most likely alternatives."""

    token: str
    logprob: float
    token_id: int | None = None
    top: tuple[tuple[str, float], ...] = ()


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer.

    ``finish_reason`` is ``stop``, ``length``, ``tool_calls``, ``content_filter`` or what the
    engine said; ``text`` never holds reasoning.
    """

    text: str = ""
    finish_reason: str | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    cumulative_logprob: float | None = None
    reasoning: str | None = None
    tool_calls: tuple[Json, ...] = ()
    parsed: Json = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens: of the prompt (cached ones included), of the answer (reasoning included)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Timing(msgspec.Struct, frozen=True, omit_defaults=True):
    """``seconds`` from sending to the last byte; ``attempts`` made, the last one included."""

    seconds: float = 0.0
    attempts: int = 1


class Response(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an engine answered."""

    choices: tuple[Choice, ...] = ()
    usage: Usage = Usage()
    timing: Timing = Timing()
    engine: str = ""
    engine_version: str | None = None

    @property
    def text(self) -> str:
        """Text of the first choice."""
        return self.choices[0].text


_response_decoder = msgspec.json.Decoder(Response)


def encode_response(response: Response) -> bytes:
    """Encode a response for storage."""
    return msgspec.json.encode(response)


def decode_response(data: bytes) -> Response:
    """Decode what `encode_response` wrote."""
    return _response_decoder.decode(data)


class Row(msgspec.Struct, frozen=True):
    """One row of a dataset.

    Attributes:
        id: value of the id column as text, else a content hash plus occurrence number.
        position: place in the dataset as the experiment reads it, from 0.
        data: the columns.
    """

    id: str
    position: int
    data: dict[str, Json]
