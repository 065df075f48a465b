"""Every way in which a server or the network can fail is one of the runner's errors."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest

from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    EngineError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnknownModelError,
)
from tests.engines.asking_engines import ask, chat_request
from tests.engines.scripted_server import Reply, chat, serving

KEY = "sk-very-secret-0123456789"


def failure(reply: Reply, **settings: Any) -> AskError:
    """Return the error that asking for *reply* raises."""

    async def run() -> AskError:
        async with serving(reply) as server:
            with pytest.raises(AskError) as caught:
                await ask("openai_compatible", chat_request(), base_url=server.url, **settings)
            return caught.value

    return asyncio.run(run())


def openai(message: str, code: str | None = None) -> dict[str, Any]:
    """Return an error body as OpenAI writes it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, openai("Incorrect API key provided", "invalid_api_key"), AuthenticationError),
        (403, openai("Not allowed"), AuthenticationError),
        (404, openai("The model `gpt-9` does not exist", "model_not_found"), UnknownModelError),
        (
            404,
            {
                "object": "error",
                "message": "The model `m` does not exist.",
                "type": "NotFoundError",
                "code": 404,
            },
            UnknownModelError,
        ),
        (404, {"detail": "Not Found"}, BadRequestError),
        (400, openai("unknown value of stop"), BadRequestError),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "Input should be less"}]}, BadRequestError),
        (413, b"<html>Payload too large</html>", BadRequestError),
        (429, openai("Rate limit reached", "rate_limit_exceeded"), RateLimitError),
        (429, openai("You exceeded your current quota", "insufficient_quota"), EngineError),
        (402, openai("Insufficient credits"), EngineError),
        (408, openai("Request timed out"), ServerError),
        (409, openai("Conflict"), ServerError),
        (500, b"", ServerError),
        (503, openai("Loading model"), ServerError),
        (529, openai("Overloaded"), ServerError),
        (307, b"", EngineError),
    ],
)
def test_status_decides_the_error(status: int, body: Any, kind: type[AskError]) -> None:
    """Each status has its family: the engine's, the row's, or worth asking again."""
    error = failure(Reply(body, status))

    assert type(error) is kind
    assert error.status == status
    assert error.message


def test_address_at_which_nothing_is_is_told() -> None:
    """Of a base_url without its /v1 a server says no more than that."""
    told = str(failure(Reply({"detail": "Not Found"}, 404)))

    assert re.match(
        r"HTTP 404: Not Found \(http://127\.0\.0\.1:\d+/v1/chat/completions; base_url often ends in /v1", told
    )
    assert "base_url" not in str(failure(Reply(openai("The model `gpt-9` does not exist"), 404)))


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "The input (3001 tokens) is longer than the model's context length (2048 tokens).",
        "'max_tokens' is too large: 500. This model's maximum context length is 512 tokens",
        "The decoder prompt (length 600) is longer than the maximum model length of 512.",
        "the request exceeds the available context size, try increasing it",
    ],
)
def test_prompt_that_does_not_fit_is_a_context_error(message: str) -> None:
    """OpenAI, SGLang, vLLM and llama.cpp each say it in their own words, with status 400."""
    assert type(failure(Reply(openai(message), 400))) is ContextLengthError


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (openai("one\n  two"), "HTTP 400: one two"),
        ({"object": "error", "message": "as vLLM"}, "HTTP 400: as vLLM"),
        ({"detail": "as FastAPI"}, "HTTP 400: as FastAPI"),
        ({"error": "as a string"}, "HTTP 400: as a string"),
        ([{"error": {"message": "as a list"}}], "HTTP 400: as a list"),
        (b"as text", "HTTP 400: as text"),
        (b"", "HTTP 400: Bad Request"),
    ],
)
def test_message_is_the_servers_own_on_one_line(body: Any, told: str) -> None:
    """Whatever form a server's error has, its words are what the user reads."""
    assert str(failure(Reply(body, 400))) == told


def test_message_is_cut_to_what_a_report_can_hold() -> None:
    """A page of HTML doesn't fill the log."""
    assert len(failure(Reply(b"x" * 10_000, 400)).message) == 500


def test_retry_after_is_read_in_seconds_milliseconds_and_as_a_date() -> None:
    """All three ways to say how long to wait are honoured."""
    date = formatdate(time.time() + 30, usegmt=True)

    assert failure(Reply(b"", 429, {"Retry-After": "7"})).retry_after == 7
    assert failure(Reply(b"", 503, {"Retry-After": "7", "retry-after-ms": "250"})).retry_after == 0.25
    assert failure(Reply(b"", 429, {"Retry-After": date})).retry_after == pytest.approx(30, abs=5)
    assert failure(Reply(b"", 429, {"Retry-After": "soon"})).retry_after is None
    assert failure(Reply(b"", 429)).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b'{"id":"x"}',
        b'{"choices":[]}',
        b'{"choices":[{"message":3}]}',
    ],
)
def test_answer_that_no_api_documents_is_malformed(body: bytes) -> None:
    """HTTP 200 alone is no answer."""
    assert type(failure(Reply(body))) is MalformedResponseError


def test_error_inside_an_answer_with_status_200_is_raised_as_what_it_is() -> None:
    """Gateways wrap the error of the provider behind them."""
    error = failure(Reply({"error": {"message": "slow down", "code": 429}}))

    assert type(error) is RateLimitError
    assert error.message == "slow down"


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_answer_of_a_server_that_says_it_failed_is_a_server_error(reason: str) -> None:
    """OpenRouter, SGLang and DeepSeek end such an answer with status 200."""
    assert type(failure(Reply(chat("", finish_reason=reason)))) is ServerError


@pytest.mark.parametrize(
    "body",
    [
        {**chat(""), "error": {"message": "no upstream", "code": 502}},
        chat("Hel", finish_reason="error", error={"message": "no upstream", "code": 502}),
        {
            "choices": [
                *chat()["choices"],
                {**chat("")["choices"][0], "error": {"message": "no upstream", "code": 502}},
            ]
        },
    ],
)
def test_error_beside_an_answer_is_raised_as_what_it_is(body: dict[str, Any]) -> None:
    """Gateways tell of it beside the choices or in one of them."""
    error = failure(Reply(body))

    assert (type(error), error.status, error.message) == (ServerError, 502, "no upstream")


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Not authenticated"},
        {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
        {"error": "Unauthorized"},
    ],
)
def test_refused_key_inside_an_answer_with_status_200_is_one(body: dict[str, Any]) -> None:
    """No retry helps against it."""
    assert type(failure(Reply(body))) is AuthenticationError


def test_answer_with_an_error_of_null_is_an_answer() -> None:
    """Some servers always send the field."""

    async def run() -> str:
        async with serving(Reply({**chat("Hi", error=None), "error": None})) as server:
            return (await ask("openai_compatible", chat_request(), base_url=server.url)).text

    assert asyncio.run(run()) == "Hi"


def test_no_answer_in_time_is_a_timeout() -> None:
    """engine.timeout bounds one request."""
    assert type(failure(Reply(hang=True), timeout=1.0)) is RequestTimeoutError


def test_connection_cut_in_mid_body_is_a_failed_connection() -> None:
    """Half an answer is none."""
    assert type(failure(Reply(chat("x" * 1000), cut=True))) is ConnectionFailedError


def test_refused_connection_is_a_failed_connection() -> None:
    """Nothing listens: starting the engine succeeds, the first request tells."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

        with pytest.raises(ConnectionFailedError, match=url):
            asyncio.run(ask("openai_compatible", chat_request(), base_url=url))


def test_host_that_swallows_connections_is_a_failed_connection() -> None:
    """What can't be reached doesn't keep every request waiting for a later run."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        with pytest.raises(ConnectionFailedError, match=url):
            asyncio.run(ask("openai_compatible", chat_request(), base_url=url, timeout=0.2))


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_key_never_shows_in_an_error(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A server that repeats the key in its answer doesn't get it into our logs."""
    monkeypatch.setenv("A_KEY", KEY)

    error = failure(Reply(f"bad key {KEY}".encode(), status), api_key_env="A_KEY")

    assert KEY not in str(error)
    assert KEY not in repr(error)
    assert "bad key ***" in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(openai("x" * 480 + f" {KEY} is no key"), 400),
        Reply(b"x" * 485 + KEY.encode(), 502),
        Reply(b"<html>" + b"y" * 180 + KEY.encode()),
        Reply(b"<html>" + b"y" * 400 + KEY.encode()),
        Reply(openai("no", KEY), 400),
    ],
)
def test_no_part_of_a_key_is_left_where_a_message_is_cut(
    monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    """A key is looked for in the whole of what came, and in the provider's own code."""
    monkeypatch.setenv("A_KEY", KEY)

    error = failure(reply, api_key_env="A_KEY")

    assert KEY[:6] not in f"{error!r}"
    assert len(error.message) <= 500


def test_answer_nested_too_deep_is_malformed() -> None:
    """No decoder reads it, and that is no bug of the runner's."""
    assert type(failure(Reply(b'{"x":' * 100_000))) is MalformedResponseError
