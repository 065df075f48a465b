"""The three providers whose APIs have a form of their own: their answers as they document them."""

from __future__ import annotations

from typing import Any

from runner.values import Message, Request
from tests.engines.asking_engines import chat_request

KINDS = ("anthropic", "mistral", "google")

TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
FORCED = {"type": "function", "function": {"name": "add"}}
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}
PNG = "data:image/png;base64,iVBORw0KGgo="
TURNS: tuple[Message, ...] = (
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": "In English."},
    {"role": "user", "content": "1 + 2?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "3"},
    {"role": "assistant", "content": "3"},
    {"role": "user", "content": "Sure?"},
)


def conversation(*messages: Message, **sampling: Any) -> Request:
    """Return a request with these messages."""
    return Request("chat", messages, sampling, chat_request().scope)


def with_image(url: str) -> Request:
    """Return a request with a text and an image."""
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return conversation({"role": "user", "content": parts})


def anthropic_message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return an answer of Anthropic's."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-20261001",
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 20},
        **fields,
    }


def mistral_completion(content: Any, **choice: Any) -> dict[str, Any]:
    """Return an answer of Mistral's with one choice."""
    message = {"role": "assistant", "content": content, "tool_calls": choice.pop("tool_calls", None)}
    return {
        "id": "cmpl-1",
        "object": "chat.completion",
        "created": 1793000000,
        "model": "mistral-large-2609",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }


def google_answer(*parts: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    """Return an answer of Google's with one candidate."""
    content = {"role": "model", "parts": parts}
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": "STOP", **candidate}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30},
        "modelVersion": "gemini-3.5-flash",
        "responseId": "r1",
    }


def saying(kind: str, text: str) -> dict[str, Any]:
    """Return a provider's answer that says *text*."""
    if kind == "anthropic":
        return anthropic_message({"type": "text", "text": text})
    return mistral_completion(text) if kind == "mistral" else google_answer({"text": text})


def calling(kind: str) -> dict[str, Any]:
    """Return a provider's answer that calls the tool."""
    if kind == "anthropic":
        call = {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
        return anthropic_message(call, stop_reason="tool_use")
    if kind == "mistral":
        return mistral_completion("", tool_calls=[CALL], finish_reason="tool_calls")
    return google_answer({"functionCall": {"id": "c1", "name": "add", "args": {"a": 1}}})


def refusing(kind: str, message: str, name: str = "invalid_request_error") -> dict[str, Any]:
    """Return a provider's error body."""
    if kind == "anthropic":
        return {"type": "error", "error": {"type": name, "message": message}, "request_id": "req_1"}
    if kind == "mistral":
        return {"object": "error", "message": message, "type": name, "param": None, "code": "1500"}
    return {"error": {"code": 400, "message": message, "status": name.upper()}}
