"""Every way in which Anthropic, Mistral, Google and the network fail is one of the runner's errors."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from functools import partial
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
from runner.values import Message, Request
from tests.engines.asking_engines import ask, chat_request
from tests.engines.scripted_server import Reply, serving
from tests.http_server import HttpServer, resets
from tests.providers.native import CALL, KINDS, TOOL, conversation, refusing, saying
from tests.providers.wire import KEY, address, answer, events, exchange, failure, streamed

NO_MODEL = {
    "anthropic": (404, refusing("anthropic", "model: claude-9", "not_found_error")),
    "mistral": (400, refusing("mistral", "Invalid model: mistral-9", "invalid_model")),
    "google": (404, refusing("google", "models/gemini-9 is not found for API version v1beta", "not_found")),
}
TOO_LONG = {
    "anthropic": [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "`max_tokens` exceed context limit: 1 > 0",
    ],
    "mistral": ["Prompt contains 33000 tokens, too large for model with 32768 maximum context length"],
    "google": ["The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."],
}
ENDPOINTS = {
    "anthropic": "/v1/messages",
    "mistral": "/v1/chat/completions",
    "google": "/v1beta/models/m:generateContent",
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, EngineError),
        (403, AuthenticationError),
        (404, BadRequestError),
        (408, ServerError),
        (413, BadRequestError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (529, ServerError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_status_decides_the_error(kind: str, status: int, expected: type[AskError]) -> None:
    """Each refusal has its family and the provider's words, and is asked once."""
    error = failure(kind, answer(refusing(kind, "not like that"), status))

    assert (type(error), error.status, error.message) == (expected, status, "not like that")


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("body", [b"", b"<html>no upstream</html>", b"null", b"[1]", b'{"error": "no"}'])
@pytest.mark.parametrize("kind", KINDS)
def test_error_of_a_gateway_has_the_class_of_its_status(kind: str, body: bytes, status: int) -> None:
    """A body in nobody's form doesn't hide the status."""
    error = failure(kind, Reply(body, status, {"Content-Type": "text/html"}))

    assert type(error) is (BadRequestError if status == 400 else ServerError)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_model_stops_the_job(kind: str) -> None:
    """Each provider has its own words for a model that it doesn't serve."""
    status, body = NO_MODEL[kind]

    assert type(failure(kind, answer(body, status))) is UnknownModelError


@pytest.mark.parametrize(("kind", "message"), [(kind, told) for kind in KINDS for told in TOO_LONG[kind]])
def test_prompt_that_is_too_long_is_final_for_its_row(kind: str, message: str) -> None:
    """Each provider has its own words for that, and one status for all that is wrong."""
    assert type(failure(kind, answer(refusing(kind, message), 400))) is ContextLengthError


def test_keys_and_credit_that_are_told_as_a_bad_request_stop_the_job() -> None:
    """Google answers 400 to a bad key, Anthropic to an account without credit."""
    bad_key = refusing("google", "API key not valid. Please pass a valid API key.", "invalid_argument")
    broke = refusing("anthropic", "Your credit balance is too low to access the Anthropic API.")

    assert type(failure("google", answer(bad_key, 400))) is AuthenticationError
    assert type(failure("anthropic", answer(broke, 400))) is EngineError


@pytest.mark.parametrize("kind", KINDS)
def test_retry_after_is_handed_on(kind: str) -> None:
    """Seconds, milliseconds and a date are read; without any, nothing is made up."""
    date = formatdate(time.time() + 30, usegmt=True)

    assert failure(kind, answer(b"", 429, {"Retry-After": "7"})).retry_after == 7
    assert failure(kind, answer(b"", 503, {"retry-after-ms": "250"})).retry_after == 0.25
    assert failure(kind, answer(b"", 429, {"Retry-After": date})).retry_after == pytest.approx(30, abs=5)
    assert failure(kind, answer(b"", 429)).retry_after is None


def test_google_says_in_the_body_how_long_to_wait() -> None:
    """There is no header for it."""
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    body = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [detail]}}

    error = failure("google", answer(body, 429))

    assert (type(error), error.retry_after) == (RateLimitError, 34.5)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/html"}])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"null",
        b"{}",
        b'{"candidates": []}',
        b'{"id": "1", "object": "o", "created": 1, "model": "m", "usage": {}, "choices": []}',
        b'{"type": "message", "content": null}',
    ],
)
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
    with (
        HttpServer({ENDPOINTS[kind]: resets}) as server,
        pytest.raises(ConnectionFailedError, match=str(server.port)),
    ):
        asyncio.run(ask(kind, chat_request(), base_url=server.url("")))


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
    error = failure(kind, answer({"error": {"message": f"bad key {KEY}"}}, status))

    assert KEY not in str(error)
    assert "bad key ***" in error.message


ECHO = f"key {KEY} was not taken, try another one of those that you have, or ask whoever made it"
"""Longer than pydantic shows of a value: it leaves out the middle, and the key is cut."""


@pytest.mark.parametrize(
    "body",
    [
        {"choices": ECHO},
        {"candidates": ECHO},
        {"embeddings": ECHO},
        {"candidates": [{"content": ECHO}]},
        [ECHO],
    ],
)
@pytest.mark.parametrize("how", ["ask", "embed", "stream"])
@pytest.mark.parametrize("kind", ["mistral", "google"])
def test_part_of_a_key_never_shows_in_what_the_types_of_an_sdk_say(kind: str, how: str, body: Any) -> None:
    """They quote what they don't take with its middle left out, where a key can't be told any more."""
    embed = Request("embed", "Hi", {}, chat_request().scope)
    asking: dict[str, Callable[[], object]] = {
        "ask": partial(exchange, kind, chat_request(), body),
        "embed": partial(exchange, kind, embed, body),
        "stream": partial(streamed, kind, chat_request(), events(body, done=False)),
    }
    with pytest.raises(AskError) as caught:
        asking[how]()

    told = "".join(traceback.format_exception(caught.value))
    assert KEY[:5] not in told
    assert "input_value" not in told


OVERLOADED = {
    "anthropic": b'event: error\ndata: {"error": {"type": "overloaded_error", "message": "busy"}}\n\n',
    "google": b'data: {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}\n\n',
}


@pytest.mark.parametrize(("kind", "body"), OVERLOADED.items())
def test_error_within_a_stream_is_what_it_says(kind: str, body: bytes) -> None:
    """The stream had begun with status 200; the event has the name or the code of an error."""
    with pytest.raises(ServerError, match="busy"):
        streamed(kind, chat_request(), Reply(body, headers={"Content-Type": "text/event-stream"}))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer({"error": {"message": f"no such key {KEY}"}}, 401), AuthenticationError),
        (answer({"error": {"message": "slow"}}, 429, {"Retry-After": "2"}), RateLimitError),
        (events("{"), MalformedResponseError),
        (Reply(b"data: x", headers={"Content-Length": "900"}), ConnectionFailedError),
        (Reply(hang=True), RequestTimeoutError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_stream_fails_as_an_answer_does(kind: str, reply: Reply, expected: type[AskError]) -> None:
    """An error before the stream, within it or instead of its end has the same class and no key."""
    if kind == "anthropic" and isinstance(reply.body, bytes):
        reply = replace(reply, body=reply.body.replace(b"data:", b"event: message_start\ndata:"))
    with pytest.raises(expected) as caught:
        streamed(kind, chat_request(), reply, timeout=0.5 if reply.hang else 30.0)

    assert type(caught.value) is expected
    assert KEY not in str(caught.value)


AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
ODD: list[tuple[Message, str]] = [
    ({"role": "user", "content": [AUDIO]}, "input_audio"),
    ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}, "cat.png"),
    ({"role": "user", "content": "Hi", "cache_control": {"type": "ephemeral"}}, "cache_control"),
    ({"role": "user", "content": "Hi", "name": "Ada"}, "role user can't be sent with its name"),
    (
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "add", "arguments": "{"}}]},
        "arguments of a call of add are no JSON",
    ),
]


@pytest.mark.parametrize(("message", "named"), ODD)
@pytest.mark.parametrize("kind", KINDS)
def test_what_cant_be_converted_is_refused_by_name(kind: str, message: Message, named: str) -> None:
    """Nothing of a message is dropped in silence: the row fails before anything is sent."""

    async def run() -> None:
        async with serving(answer(saying(kind, "Hello"))) as server:
            with pytest.raises(BadRequestError, match=named):
                await ask(kind, conversation(message), base_url=address(server, kind))
            assert server.sent == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("tool", "named"),
    [
        ({"type": "web_search"}, "web_search"),
        (
            {**TOOL, "cache_control": {"type": "ephemeral"}},
            "the tool add can't be sent with its cache_control",
        ),
        ({"type": "function", "function": {"name": "add", "returns": {}}}, "with its returns"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_tool_that_cant_be_converted_is_refused_by_name(kind: str, tool: dict[str, Any], named: str) -> None:
    """What the OpenAI form of a function hasn't is not dropped in silence either."""
    with pytest.raises(BadRequestError, match=named):
        exchange(kind, chat_request(tools=[tool]), saying(kind, "Hello"))


def test_strict_tool_is_refused_where_there_are_none() -> None:
    """Anthropic and Mistral take the promise, Google has none to give."""
    strict = {"type": "function", "function": {"name": "add", "parameters": {}, "strict": True}}
    sent = {kind: exchange(kind, chat_request(tools=[strict]), saying(kind, "Hi"))[1] for kind in KINDS[:2]}

    assert sent["anthropic"].body["tools"][0]["strict"] is True
    assert sent["mistral"].body["tools"][0]["function"]["strict"] is True
    with pytest.raises(BadRequestError, match="strict"):
        exchange("google", chat_request(tools=[strict]), saying("google", "Hi"))
