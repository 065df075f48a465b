"""Answers with status 200 that are none: the provider says that it failed, or breaks off in good order."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import ConnectionFailedError, ServerError
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import chat
from tests.providers.native import google_answer, mistral_completion
from tests.providers.wire import answer, events, failure, streamed

KINDS = ("openai", "together", "fireworks", "xai", "deepseek")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_answer_in_openai_form_that_says_it_failed_is_a_server_error(kind: str, stream: bool) -> None:
    """It comes with status 200 and a finish reason of its own."""
    piece = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}
    reply = events(piece) if stream else answer(chat("", finish_reason="error"))

    assert type(failure(kind, reply, stream=stream)) is ServerError


@pytest.mark.parametrize("kind", KINDS)
def test_stream_that_ends_before_the_answer_is_a_failed_connection(kind: str) -> None:
    """Half an answer is none, put together or not, even where the stream ends in good order."""
    half = events({"choices": [{"index": 0, "delta": {"content": "The answer is"}}]}, done=False)

    assert type(failure(kind, half, stream=True)) is ConnectionFailedError
    with pytest.raises(ConnectionFailedError):
        streamed(kind, chat_request(), half)


FAILED = {
    "mistral": mistral_completion("", finish_reason="error"),
    "google": google_answer(finishReason="MALFORMED_RESPONSE"),
}


@pytest.mark.parametrize(("kind", "body"), FAILED.items())
def test_answer_of_mistral_or_google_that_says_it_failed_is_a_server_error(
    kind: str, body: dict[str, Any]
) -> None:
    """It comes with status 200 and a finish reason of its own, in one piece or in several."""
    assert type(failure(kind, answer(body))) is ServerError
    if kind == "mistral":
        (choice,) = body["choices"]
        body = {**body, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": "error"}]}
    with pytest.raises(ServerError):
        streamed(kind, chat_request(), events(body, done=kind == "mistral"))
