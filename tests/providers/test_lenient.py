"""Providers' answers with odd side fields, and streams with errors or unknown events in them."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import AskError, MalformedResponseError, RateLimitError, ServerError
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import Reply
from tests.providers.native import KINDS, anthropic_message, google_answer, mistral_completion, saying
from tests.providers.pieces import saying_in_pieces
from tests.providers.wire import KEYS, answer, exchange, failure, streamed


def odd(kind: str) -> dict[str, Any]:
    """Return an answer of which all that doesn't matter is odd."""
    if kind == "anthropic":
        usage = {"input_tokens": 10.5, "output_tokens": 20.0, "cache_read_input_tokens": "x"}
        return anthropic_message({"type": "text", "text": "42", "citations": 7}, usage=usage, model=7, id=[])
    if kind == "google":
        usage = {"promptTokenCount": 10.5, "candidatesTokenCount": "20", "totalTokenCount": {}}
        return {
            **google_answer({"text": "42"}, logprobsResult=[1], avgLogprobs="x", citationMetadata=3),
            "usageMetadata": usage,
            "modelVersion": False,
        }
    body = mistral_completion("42", logprobs=[], index="0")
    return {**body, "usage": {"prompt_tokens": 10.5, "completion_tokens": 20.0}, "created": "x", "id": 7}


@pytest.mark.parametrize("kind", KINDS)
def test_odd_side_fields_do_not_cost_the_answer(kind: str) -> None:
    """Not even those that the provider's SDK refuses; a count that is none is unknown."""
    response, _ = exchange(kind, chat_request(), odd(kind))

    assert response.text == "42"
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (None, 20)


@pytest.mark.parametrize("kind", KEYS)
def test_whole_answer_with_status_201_is_one(kind: str) -> None:
    """In one piece and in several."""
    body = saying(kind, "42") if kind in KINDS else mistral_completion("42")
    pieces = saying_in_pieces(kind, "4", "2")

    assert exchange(kind, chat_request(), answer(body, 201))[0].text == "42"
    in_pieces = Reply(pieces.body, 201, pieces.headers)
    assert exchange(kind, chat_request(), in_pieces, stream=True)[0].text == "42"


def with_events(kind: str, *events: str) -> Reply:
    """Return an answer in pieces with these events behind the first."""
    reply = saying_in_pieces(kind, "4", "2")
    first, blank, rest = reply.body.decode().partition("\n\n")
    body = first + blank + "".join(f"{event}\n\n" for event in events) + rest
    return Reply(body.encode(), 200, reply.headers)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(
    "event",
    [": keep-alive", "data:", "data: null", 'event: later\ndata: {"type": "later"}', 'data: {"a": [1]}'],
)
def test_unknown_events_beside_a_whole_answer_are_skipped(kind: str, event: str) -> None:
    """Put together, and as text that streams."""
    reply = with_events(kind, event)

    assert exchange(kind, chat_request(), reply, stream=True)[0].text == "42"
    assert "".join(streamed(kind, chat_request(), reply)[0]) == "42"


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ('event: error\ndata: {"error": {"message": "gone"}}', ServerError),
        ("event: error\ndata: gone", ServerError),
        ('data: {"error": {"code": 429, "message": "gone"}}', RateLimitError),
        ('error: {"message": "gone"}', ServerError),
        ('data: {"object": "error", "message": "gone"}', ServerError),
    ],
)
def test_error_in_a_stream_is_the_providers_own(kind: str, event: str, expected: type[AskError]) -> None:
    """Whatever follows it."""
    reply = with_events(kind, event)

    error = failure(kind, reply, stream=True)
    assert (type(error), error.message) == (expected, "gone")
    with pytest.raises(expected, match="gone"):
        streamed(kind, chat_request(), reply)


@pytest.mark.parametrize("kind", KINDS)
def test_answer_that_is_none_is_the_error_that_it_tells_of(kind: str) -> None:
    """With the server's message, where it has one."""
    assert failure(kind, answer({"detail": "Worker died"})).message == "Worker died"
    assert type(failure(kind, answer(b"<html>busy</html>"))) is MalformedResponseError
    assert type(failure(kind, answer({"id": "x"}))) is MalformedResponseError
