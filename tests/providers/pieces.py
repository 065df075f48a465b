"""Answers in pieces, as each provider streams them."""

from __future__ import annotations

from typing import Any

from tests.engines.scripted_server import Reply
from tests.providers.native import anthropic_message, google_answer
from tests.providers.wire import events


def delta(**fields: Any) -> dict[str, Any]:
    """Return an event of Anthropic's that goes on with the first block."""
    return {"type": "content_block_delta", "index": 0, "delta": fields}


def stream_of(*bodies: dict[str, Any]) -> Reply:
    """Return a reply of events, each under its name, as Anthropic sends them."""
    reply = events(*bodies, done=False)
    lines = reply.body.decode().split("\n\n")
    named = [f"event: {body['type']}\n{line}" for body, line in zip(bodies, lines, strict=False)]
    return Reply("".join(f"{event}\n\n" for event in named).encode(), 200, reply.headers)


def chunk(content: Any, finish: str | None = None) -> dict[str, Any]:
    """Return an event of Mistral's, which is OpenAI's too."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return {"id": "cmpl-1", "model": "mistral-large-2609", "choices": [choice]}


def saying_in_pieces(kind: str, *texts: str) -> Reply:
    """Return a provider's answer that says *texts*, one in each event, and then ends."""
    if kind == "anthropic":
        return stream_of(
            {"type": "message_start", "message": anthropic_message(stop_reason=None)},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *(delta(type="text_delta", text=text) for text in texts),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}},
            {"type": "message_stop"},
        )
    if kind == "google":
        said = [google_answer({"text": text}, finishReason=None) for text in texts]
        return events(*said, google_answer({"text": ""}), done=False)
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    return events(*map(chunk, texts), {**chunk("", "stop"), "usage": usage})
