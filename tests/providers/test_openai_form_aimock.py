"""Providers of OpenAI's form against aimock, a server that nobody here wrote.

It ignores n, logprobs, max_tokens and stop, and has no raw completions: for these there are answers in the
documented form in the tests beside this.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import (
    AskError,
    AuthenticationError,
    ConnectionFailedError,
    ContextLengthError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from runner.spec import Model
from runner.values import Request
from tests.engines.asking_engines import ask, chat_request
from tests.engines.chunk_kit import texts_of
from tests.providers.aimock import Aimock, aimock, fails, says
from tests.providers.test_openai_form import CALL, KINDS, SCHEMA, TOOL, conversation
from tests.providers.wire import KEY, PATHS

pytestmark = pytest.mark.slow


def url(mock: Aimock, kind: str) -> str:
    """Return the base_url of a kind."""
    return f"{mock.root}{PATHS.get(kind, '/v1')}"


def failure(mock: Aimock, kind: str, **settings: Any) -> AskError:
    """Return the error of asking once."""
    with pytest.raises(AskError) as caught:
        asyncio.run(ask(kind, chat_request(), base_url=url(mock, kind), **settings))
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_a_conversation_with_an_image_and_a_tool(kind: str) -> None:
    """System text, a picture, a call with its result: an answer with reasoning apart and tokens counted."""
    parts = [
        {"type": "text", "text": "Which city?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    request = conversation(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "Paris"},
        tools=[TOOL],
    )
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    seen = says(
        "Paris", match={"toolCallId": "c1", "systemMessage": "brief"}, reasoning="towers", usage=usage
    )

    with aimock(seen, keys=(KEY,)) as mock:
        response = asyncio.run(ask(kind, request, base_url=url(mock, kind)))

    (choice,) = response.choices
    assert (choice.text, choice.reasoning, choice.finish_reason) == ("Paris", "towers", "stop")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (9, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_calls_a_tool(kind: str) -> None:
    """The call is data of the answer."""
    calls = [{"id": "c1", "name": "add", "arguments": {"a": 1}}]

    with aimock(says(match={"toolName": "add"}, toolCalls=calls)) as mock:
        response = asyncio.run(ask(kind, chat_request(tools=[TOOL]), base_url=url(mock, kind)))

    (choice,) = response.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.tool_calls[0]["function"] == {"name": "add", "arguments": '{"a":1}'}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "deepseek"])
def test_it_fills_a_schema(kind: str) -> None:
    """The server sees the format that was asked for, and the value is in `parsed`."""
    with aimock(says({"sum": 3}, match={"responseFormat": "json_schema"})) as mock:
        response = asyncio.run(ask(kind, chat_request(json_schema=SCHEMA), base_url=url(mock, kind)))

    assert response.choices[0].parsed == {"sum": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_it_streams(kind: str) -> None:
    """The pieces are the answer, without its reasoning."""

    async def pieces(mock: Aimock, request: Request) -> list[str]:
        described = engine_kinds()[kind]
        settings = described.settings.model_validate({"kind": kind, "base_url": url(mock, kind)})
        async with described.create(settings, Model(name="m")) as engine:
            return await texts_of(engine, request)

    text = "Paris is the capital of France, and has been for a long time."
    with aimock(says(text, reasoning="towers")) as mock:
        got = asyncio.run(pieces(mock, chat_request()))

    assert len(got) > 1
    assert "".join(got) == text


@pytest.mark.parametrize("kind", KINDS)
def test_stop_string_that_it_leaves_is_cut_off(kind: str) -> None:
    """It knows none, as some servers do; the answer in pieces is the same, and has its times."""
    with aimock(says("Paris is the capital.")) as mock:
        answers = [
            asyncio.run(ask(kind, chat_request(stop=[" the"]), base_url=url(mock, kind), stream=stream))
            for stream in (False, True)
        ]

    assert [answer.text for answer in answers] == ["Paris is"] * 2
    assert [answer.timing.first_token is not None for answer in answers] == [False, True]


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (429, "slow down", RateLimitError),
        (500, "broken", ServerError),
        (529, "overloaded", ServerError),
        (400, "This model's maximum context length is 8 tokens", ContextLengthError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_its_errors_are_ours(kind: str, status: int, message: str, expected: type[AskError]) -> None:
    """Each status has its class, with how long to wait where the server says so."""
    with aimock(fails(status, message, retry_after=2 if status == 429 else None)) as mock:
        error = failure(mock, kind)

    assert (type(error), error.message) == (expected, message)
    assert error.retry_after == (2 if status == 429 else None)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_key_is_refused(kind: str) -> None:
    """The server compares the key itself."""
    with aimock(says("Paris"), keys=("another-key-0123456789",)) as mock:
        assert type(failure(mock, kind)) is AuthenticationError


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"malformedRate": 1}, MalformedResponseError),
        ({"disconnectRate": 1}, ConnectionFailedError),
        ({"rateLimitRate": 1}, RateLimitError),
        ({"dropRate": 1}, ServerError),
        ({"latencyMs": 5000}, RequestTimeoutError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_its_chaos_is_told_apart(kind: str, rates: dict[str, float], expected: type[AskError]) -> None:
    """Garbled, cut, throttled, dropped and late answers each have their class."""
    with aimock(says("Paris")) as mock:
        mock.chaos(**rates)

        assert type(failure(mock, kind, timeout=1.0)) is expected
