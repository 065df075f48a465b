"""What Anthropic answers with: only the fields that are read."""

from __future__ import annotations

import msgspec

from runner.engines.in_band import answered_error
from runner.engines.lenient import Count, Reading, counted
from runner.engines.provider_wire import decode, tool_call
from runner.values import Choice, Json, Response, Usage

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
    thinking_tokens: Count = None


class Counts(msgspec.Struct):
    """Tokens, as Anthropic counts them."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    output_tokens_details: _OutputDetails | None = None


class Message(msgspec.Struct):
    """One answer."""

    content: list[Block]
    stop_reason: str | None = None
    usage: Counts | None = None
    model: str | None = None
    type: str | None = None


_message = msgspec.json.Decoder(Message)


def read_message(body: bytes, reading: Reading) -> Response:
    """Decode the answer to a request; raises as `decode` does."""
    message = decode(_message, body, reading)
    if error := answered_error(body):
        raise error
    return response_of(message)


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
    cached, details = usage.cache_read_input_tokens or 0, usage.output_tokens_details
    prompt = usage.input_tokens
    if prompt is not None:
        # Anthropic counts what it read from and wrote to its cache apart.
        prompt += cached + (usage.cache_creation_input_tokens or 0)
    return Usage(
        counted(prompt),
        counted(usage.output_tokens),
        counted(cached),
        counted((details.thinking_tokens or 0) if details else 0),
    )
