"""Anthropic, Mistral and Google against aimock, a server that nobody here wrote.

It ignores n, logprobs, max_tokens and stop: for these there are answers in the documented form in the tests
beside this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
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
from runner.values import Request, Response, Usage
from tests.engines.asking_engines import ask, chat_request
from tests.engines.chunk_kit import texts_of
from tests.providers.aimock import Aimock, aimock, fails, says
from tests.providers.native import KINDS, PNG, SCHEMA, TOOL, TURNS, conversation, with_image
from tests.providers.wire import KEY

pytestmark = pytest.mark.slow


def said(text: str) -> dict[str, Any]:
    """Return what matches a user's message."""
    return {"userMessage": text}


TOO_LONG = "prompt is too long: 210000 tokens > 200000 maximum"
FIXTURES = (
    fails(401, f"bad key {KEY}", match=said("e401")),
    fails(429, retry_after=3, match=said("e429")),
    fails(500, match=said("e500")),
    fails(529, match=said("e529")),
    fails(400, TOO_LONG, match=said("e400")),
    says('{"sum": 3}', match=said("as JSON")),
    says(match=said("with a tool"), toolCalls=[{"name": "add", "arguments": '{"a":1}'}]),
    says("3", match=said("think"), reasoning="One and two."),
    says("A cat", match=said("What is it?")),
    says("Yes, I am sure.", match=said("Sure?")),
    says("Hello", usage={"prompt_tokens": 10, "completion_tokens": 20}),
)


@pytest.fixture(scope="module", name="mock")
def _mock() -> Iterator[Aimock]:
    with aimock(*FIXTURES, keys=[KEY]) as server:
        yield server


def answered(mock: Aimock, kind: str, request: Request, **settings: Any) -> Response:
    """Ask the server one request."""
    return asyncio.run(ask(kind, request, base_url=mock.root, **settings))


@pytest.mark.parametrize("kind", KINDS)
def test_question_is_answered(mock: Aimock, kind: str) -> None:
    """The answer has its text, its end and its tokens."""
    response = answered(mock, kind, chat_request("Hi", max_tokens=20))

    (choice,) = response.choices
    assert (choice.text, choice.finish_reason) == ("Hello", "stop")
    assert response.usage == Usage(prompt_tokens=10, completion_tokens=20)


@pytest.mark.parametrize("kind", KINDS)
def test_conversation_with_tools_is_understood(mock: Aimock, kind: str) -> None:
    """System texts, calls and results pass the server's reading of each provider's form."""
    assert answered(mock, kind, conversation(*TURNS, tools=[TOOL])).text == "Yes, I am sure."


@pytest.mark.parametrize("kind", KINDS)
def test_image_is_understood(mock: Aimock, kind: str) -> None:
    """The text beside the image is read as the user's."""
    assert answered(mock, kind, with_image(PNG)).text == "A cat"


@pytest.mark.parametrize("kind", KINDS)
def test_call_of_a_tool_is_returned(mock: Aimock, kind: str) -> None:
    """It is in the OpenAI form, its arguments as JSON text."""
    (choice,) = answered(mock, kind, chat_request("with a tool", tools=[TOOL])).choices

    (call,) = choice.tool_calls
    assert (choice.finish_reason, call["function"]["name"]) == ("tool_calls", "add")
    assert msgspec.json.decode(call["function"]["arguments"]) == {"a": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_json_schema_is_parsed(mock: Aimock, kind: str) -> None:
    """The value is beside the text."""
    assert answered(mock, kind, chat_request("as JSON", json_schema=SCHEMA)).choices[0].parsed == {"sum": 3}


@pytest.mark.parametrize("kind", ["anthropic", "google"])
def test_reasoning_is_kept_apart(mock: Aimock, kind: str) -> None:
    """The answer's text is without it; the server has another form of it for Mistral than Mistral."""
    (choice,) = answered(mock, kind, chat_request("think", reasoning_effort="high")).choices

    assert (choice.text, choice.reasoning) == ("3", "One and two.")


@pytest.mark.parametrize("kind", KINDS)
def test_stream_brings_the_same_text(mock: Aimock, kind: str) -> None:
    """All pieces together are the answer."""
    described = engine_kinds()[kind]
    settings = described.settings.model_validate({"kind": kind, "base_url": mock.root})

    async def run() -> list[str]:
        async with described.create(settings, Model(name="m")) as engine:
            return await texts_of(engine, chat_request("Sure?"))

    assert "".join(asyncio.run(run())) == "Yes, I am sure."


@pytest.mark.parametrize("kind", KINDS)
def test_stop_string_that_it_leaves_is_cut_off(mock: Aimock, kind: str) -> None:
    """It knows none; the answer in pieces is the same."""
    request = chat_request("Sure?", stop=[", I"])

    assert answered(mock, kind, request).text == "Yes"
    assert answered(mock, kind, request, stream=True).text == "Yes"


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason")  # which is the server's own
@pytest.mark.parametrize("text", ["Hi", "with a tool", "think"])
@pytest.mark.parametrize("kind", ["anthropic", "google"])
def test_pieces_are_the_whole_answer_with_their_times(mock: Aimock, kind: str, text: str) -> None:
    """Text, calls, reasoning, the end and the tokens; to Mistral the server streams in OpenAI's form."""
    request = chat_request(text, tools=[TOOL])

    whole, pieces = answered(mock, kind, request), answered(mock, kind, request, stream=True)

    assert told(pieces) == told(whole)
    assert pieces.usage == whole.usage
    assert pieces.timing.first_token is not None
    assert 0 < pieces.timing.first_token <= pieces.timing.seconds


def told(response: Response) -> list[Any]:
    """Return what the choices say, without the ids of calls, which the server draws."""
    return [
        (
            choice.text,
            choice.reasoning,
            choice.finish_reason,
            [call["function"] for call in choice.tool_calls],
        )
        for choice in response.choices
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e401", AuthenticationError),
        ("e429", RateLimitError),
        ("e500", ServerError),
        ("e529", ServerError),
        ("e400", ContextLengthError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_refusal_has_its_class(mock: Aimock, kind: str, text: str, expected: type[AskError]) -> None:
    """The server answers errors in each provider's form; none shows the key."""
    with pytest.raises(expected) as caught:
        answered(mock, kind, chat_request(text))

    assert type(caught.value) is expected
    assert KEY not in str(caught.value)
    assert caught.value.retry_after == (3 if text == "e429" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_key_is_refused(mock: Aimock, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server lets one key in, wherever each provider wants it."""
    monkeypatch.setenv("WRONG", "sk-another-0123456789")

    with pytest.raises(AuthenticationError):
        answered(mock, kind, chat_request(), api_key_env="WRONG")


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"malformedRate": 1.0}, MalformedResponseError),
        ({"disconnectRate": 1.0}, ConnectionFailedError),
        ({"rateLimitRate": 1.0}, RateLimitError),
        ({"latencyMs": 5000}, RequestTimeoutError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_disturbance_has_its_class(kind: str, rates: dict[str, float], expected: type[AskError]) -> None:
    """A broken body, a lost connection, too many requests and a late answer."""
    with aimock(says("Hello")) as mock:
        mock.chaos(**rates)

        with pytest.raises(expected):
            answered(mock, kind, chat_request(), timeout=2)
