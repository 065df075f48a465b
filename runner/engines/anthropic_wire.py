"""What Anthropic answers with: only the fields that are read."""

from __future__ import annotations

import msgspec

from runner.engines.provider_wire import decode, tool_call
from runner.values import Choice, Json, Response, Usage

NAMED_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Names of errors, as Anthropic documents them -> the HTTP status that each comes with."""

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class Block(msgspec.Struct):
    """A part of what the model says; only the fields of its type are filled."""

    type: str
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: Json = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class Counts(msgspec.Struct):
    """Tokens, as Anthropic counts them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class Message(msgspec.Struct):
    """One answer."""

    content: list[Block]
    stop_reason: str | None = None
    usage: Counts | None = None
    model: str | None = None


_message = msgspec.json.Decoder(Message)


def read_message(body: bytes) -> Response:
    """Decode the answer to a request; raises as `decode` does."""
    return response_of(decode(_message, body))


def response_of(message: Message) -> Response:
    """Return the response that an answer is."""
    return Response(
        choices=(_choice(message),),
        usage=_usage(message.usage or Counts()),
        engine="anthropic",
        engine_version=message.model,
    )


def _choice(message: Message) -> Choice:
    blocks, reason = message.content, message.stop_reason
    calls = [tool_call(b.id, b.name, b.input or {}) for b in blocks if b.type == "tool_use"]
    return Choice(
        text="".join(block.text for block in blocks if block.type == "text"),
        finish_reason=_FINISH.get(reason, reason) if reason else None,
        reasoning="".join(block.thinking for block in blocks if block.type == "thinking") or None,
        tool_calls=tuple(calls),
    )


def _usage(usage: Counts) -> Usage:
    cached = usage.cache_read_input_tokens or 0
    details = usage.output_tokens_details
    return Usage(
        # Anthropic counts what it read from and wrote to its cache apart.
        prompt_tokens=(usage.input_tokens or 0) + cached + (usage.cache_creation_input_tokens or 0),
        completion_tokens=usage.output_tokens or 0,
        cached_tokens=cached,
        reasoning_tokens=(details.thinking_tokens or 0) if details else 0,
    )
