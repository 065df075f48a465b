"""Every way in which providers of OpenAI's form and their SDKs fail is one of the runner's errors."""

from __future__ import annotations

import asyncio
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    EngineError,
    EngineStartError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnknownModelError,
)
from runner.spec import Model
from tests.engines.asking_engines import ask, chat_request
from tests.engines.scripted_server import Reply
from tests.http_server import HttpServer, resets
from tests.providers.wire import KEY, KEYS, PATHS, answer, events, failure, streamed

KINDS = ("openai", "together", "fireworks", "xai", "deepseek")


def told(message: str, code: str | None = None) -> dict[str, Any]:
    """Return an error body in OpenAI's form."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


TOO_LONG = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
)

ANSWERED = [
    (401, told("Incorrect API key provided", "invalid_api_key"), AuthenticationError),
    (403, told("Country not supported"), AuthenticationError),
    (404, told("The model `gpt-9` does not exist", "model_not_found"), UnknownModelError),
    (404, {"detail": "Not Found"}, BadRequestError),
    (400, told("Unsupported value: 'temperature' does not support 0.5 with this model."), BadRequestError),
    (400, told(TOO_LONG, "context_length_exceeded"), ContextLengthError),
    (400, told("Your request was flagged by our content filter", "content_filter"), BadRequestError),
    (402, told("Insufficient Balance"), EngineError),
    (429, told("Rate limit reached", "rate_limit_exceeded"), RateLimitError),
    (429, told("You exceeded your current quota", "insufficient_quota"), EngineError),
    (500, told("The server had an error"), ServerError),
    (503, b"<html>no upstream</html>", ServerError),
    (529, told("Overloaded"), ServerError),
]


@pytest.mark.parametrize(("status", "body", "expected"), ANSWERED)
@pytest.mark.parametrize("kind", KINDS)
def test_status_decides_the_error(kind: str, status: int, body: Any, expected: type[AskError]) -> None:
    """Each refusal has its family, and is asked once: whoever is above decides about asking again."""
    error = failure(kind, answer(body, status))

    assert type(error) is expected
    assert error.status == status


XAI = [
    (403, "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO", BadRequestError),
    (403, "The caller does not have permission", AuthenticationError),
    (400, "Incorrect API key provided: ab***yz.", AuthenticationError),
    (
        400,
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        ContextLengthError,
    ),
]


@pytest.mark.parametrize(("status", "message", "expected"), XAI)
def test_xai_is_understood_by_its_words(status: int, message: str, expected: type[AskError]) -> None:
    """It refuses a prompt with the status of a key, and a key with the status of a prompt."""
    code = "The caller does not have permission to execute the specified operation"

    assert type(failure("xai", answer({"code": code, "error": message}, status))) is expected


def test_prompt_that_a_moderator_refuses_is_final_for_its_row() -> None:
    """OpenRouter answers 403 to it."""
    message = "openai/gpt-9 requires moderation on OpenAI. Your input was flagged for 'violence'"

    assert type(failure("openai", answer(told(message), 403))) is BadRequestError


@pytest.mark.parametrize("kind", KINDS)
def test_retry_after_is_handed_on(kind: str) -> None:
    """Seconds, milliseconds and a date are read; without any, nothing is made up."""
    date = formatdate(time.time() + 30, usegmt=True)

    assert failure(kind, answer(b"", 429, {"Retry-After": "7"})).retry_after == 7
    assert failure(kind, answer(b"", 503, {"retry-after-ms": "250"})).retry_after == 0.25
    assert failure(kind, answer(b"", 429, {"Retry-After": date})).retry_after == pytest.approx(30, abs=5)
    assert failure(kind, answer(b"", 429)).retry_after is None


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/html"}])
@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"[]", b"\xff\xfe", b'{"choices":[]}', b"null"])
@pytest.mark.parametrize("kind", KINDS)
def test_answer_that_no_api_documents_is_malformed(kind: str, body: bytes, headers: dict[str, str]) -> None:
    """HTTP 200 alone is no answer, whatever the content is said to be."""
    assert type(failure(kind, answer(body, headers=headers))) is MalformedResponseError


@pytest.mark.parametrize("kind", KINDS)
def test_error_inside_an_answer_with_status_200_is_raised_as_what_it_is(kind: str) -> None:
    """Gateways wrap the error of the provider behind them."""
    error = failure(kind, answer({"error": {"message": "slow down", "code": 429}}))

    assert (type(error), error.message) == (RateLimitError, "slow down")


@pytest.mark.parametrize("kind", KINDS)
def test_reset_connection_is_a_failed_connection(kind: str) -> None:
    """A reset instead of an answer says which address gave it."""
    with HttpServer({"/v1/chat/completions": resets}) as server:
        url = server.url(PATHS.get(kind, "/v1"))

        with pytest.raises(ConnectionFailedError, match=str(server.port)):
            asyncio.run(ask(kind, chat_request(), base_url=url))


@pytest.mark.parametrize("kind", KINDS)
def test_refused_connection_is_a_failed_connection(kind: str) -> None:
    """Nothing listens: starting the engine succeeds, the first request tells."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        with pytest.raises(ConnectionFailedError, match=url):
            asyncio.run(ask(kind, chat_request(), base_url=url))


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("kind", KINDS)
def test_key_never_shows_in_an_error(kind: str, status: int) -> None:
    """A provider that repeats the key in its answer doesn't get it into our logs."""
    error = failure(kind, answer(told(f"bad key {KEY}"), status))

    assert KEY not in str(error)
    assert "bad key ***" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_of_a_key_is_left_where_a_message_is_cut(kind: str) -> None:
    """A key is looked for in the whole message, and in the provider's own code."""
    error = failure(kind, answer(told("x" * 480 + KEY, KEY), 400))

    assert KEY[:6] not in repr(error)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer(told(f"no such key {KEY}"), 401), AuthenticationError),
        (answer(told("slow"), 429, {"Retry-After": "2"}), RateLimitError),
        (events({"error": {"message": "overloaded", "code": 503}}), ServerError),
        (events({"choices": [{"delta": {"content": 7}}]}), MalformedResponseError),
        (
            Reply(b": a comment\n\n" * 99, 200, {"Content-Type": "text/event-stream"}, cut=True),
            ConnectionFailedError,
        ),
        (Reply(hang=True), RequestTimeoutError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_stream_fails_as_an_answer_does(kind: str, reply: Reply, expected: type[AskError]) -> None:
    """An error before the stream, within it or instead of its end has the same class and no key."""
    with pytest.raises(expected) as caught:
        streamed(kind, chat_request(), reply, timeout=0.5 if reply.hang else 30.0)

    assert type(caught.value) is expected
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_unset_key_stops_the_engine_before_it_starts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault names the variable, and a key of the SDK's own choice is not taken instead."""
    monkeypatch.delenv(KEYS[kind])
    described = engine_kinds()[kind]
    settings = described.settings.model_validate({"kind": kind})

    (fault,) = described.check(settings, Model(name="m"))

    assert (fault.place, fault.problem) == (
        "engine.api_key_env",
        f"the environment variable {KEYS[kind]} is not set",
    )
    with pytest.raises(EngineStartError, match=KEYS[kind]):
        described.create(settings, Model(name="m"))
