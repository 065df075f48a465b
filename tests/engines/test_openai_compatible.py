"""What goes over the wire to an OpenAI-compatible server, and what is made of its answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.errors import AskError, EngineStartError, IncompleteResponseError
from runner.spec import Model
from runner.values import Request, Response, TokenLogprob, Usage
from tests.engines.asking_engines import ask, chat_request, text_request
from tests.engines.chunk_kit import texts_of
from tests.engines.scripted_server import Reply, ScriptedServer, chat, serving


def exchange(request: Request, body: Any, **settings: Any) -> tuple[Response, ScriptedServer]:
    """Ask a server that answers *body*."""

    async def run() -> tuple[Response, ScriptedServer]:
        async with serving(Reply(body)) as server:
            return await ask("openai_compatible", request, base_url=server.url, **settings), server

    return asyncio.run(run())


def test_chat_sends_model_messages_and_sampling_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared is what is sent, with the key as a bearer token and headers from the environment."""
    monkeypatch.setenv("A_KEY", "secret-1")
    monkeypatch.setenv("AN_ORG", "org-1")
    request = chat_request("Hi", temperature=0.5, top_k=5, stop=["\n"], seed=3)

    _, server = exchange(request, chat(), api_key_env="A_KEY", headers_env={"X-Org": "AN_ORG"})

    (sent,) = server.sent
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer secret-1"
    assert sent.headers["x-org"] == "org-1"
    assert sent.headers["content-type"] == "application/json"
    assert sent.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "top_k": 5,
        "stop": ["\n"],
        "seed": 3,
    }


def test_chat_answer_keeps_every_field() -> None:
    """Text, reasoning, tool calls, logprobs, usage and version arrive where values.py says."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    top = [{"token": "4", "logprob": -0.1, "bytes": [52]}, {"token": "5", "logprob": -2.5}]
    body = {
        "id": "x",
        "system_fingerprint": "fp-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {"content": "4", "reasoning_content": "2+2", "tool_calls": [call], "new": 1},
                "logprobs": {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": top}]},
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }

    response, _ = exchange(chat_request(logprobs=True, top_logprobs=2), body)

    (choice,) = response.choices
    assert (choice.text, choice.reasoning, choice.finish_reason) == ("4", "2+2", "tool_calls")
    assert choice.tool_calls == (call,)
    assert choice.logprobs == (TokenLogprob("4", -0.1, top=(("4", -0.1), ("5", -2.5))),)
    assert choice.cumulative_logprob == pytest.approx(-0.1)
    assert response.usage == Usage(7, 5, 4, 2)
    assert response.engine_version == "fp-1"
    assert response.timing.seconds > 0


def test_choices_come_in_the_order_of_their_index() -> None:
    """A server may answer n choices in any order."""
    choices = [{"index": i, "message": {"content": str(i)}, "finish_reason": "stop"} for i in (2, 0, 1)]

    response, _ = exchange(chat_request(n=3), {"choices": choices})

    assert [choice.text for choice in response.choices] == ["0", "1", "2"]


def test_completion_asks_for_logprobs_by_number_and_reads_them() -> None:
    """The older endpoint takes one integer and answers with parallel lists."""
    logprobs = {
        "tokens": ["8", "5"],
        "token_logprobs": [-0.25, -0.5],
        "top_logprobs": [{"8": -0.25, "7": -1.5}, {"5": -0.5}],
        "text_offset": [0, 1],
    }
    body = {"choices": [{"index": 0, "text": "85", "finish_reason": "length", "logprobs": logprobs}]}

    response, server = exchange(text_request("37+48=", logprobs=True, top_logprobs=2), body)

    assert server.sent[0].path == "/v1/completions"
    assert server.sent[0].body == {"model": "m", "prompt": "37+48=", "logprobs": 2}
    (choice,) = response.choices
    assert choice.text == "85"
    assert choice.logprobs is not None
    assert choice.logprobs[0] == TokenLogprob("8", -0.25, top=(("8", -0.25), ("7", -1.5)))
    assert choice.cumulative_logprob == -0.75


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": None}, "", None),
        ({}, "", None),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", None),
        ({"content": None, "refusal": "I won't."}, "I won't.", None),
        ({"content": "a", "reasoning": "why"}, "a", "why"),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "a"}]},
            "a",
            "hm",
        ),
    ],
)
def test_content_is_text_in_whatever_form_it_comes(
    message: dict[str, Any], text: str, reasoning: str | None
) -> None:
    """Null, parts, refusals and both names of reasoning are understood."""
    response, _ = exchange(chat_request(), {"choices": [{"message": message}]})

    assert response.text == text
    assert response.choices[0].reasoning == reasoning


def test_content_filter_is_an_answer_like_any_other() -> None:
    """A filter with HTTP 200 is a response, even where logprobs were asked for."""
    response, _ = exchange(chat_request(logprobs=True), chat(None, finish_reason="content_filter"))

    assert response.choices[0].finish_reason == "content_filter"
    assert response.text == ""


@pytest.mark.parametrize(
    ("sampling", "missing"),
    [({"n": 2}, "n is 2"), ({"logprobs": True}, "logprobs were asked")],
)
def test_answer_that_lacks_what_was_asked_is_an_error(sampling: dict[str, Any], missing: str) -> None:
    """Servers ignore what they don't know; the runner doesn't."""
    with pytest.raises(IncompleteResponseError, match=missing):
        exchange(chat_request(**sampling), chat())


def test_reasoning_is_counted_under_either_name() -> None:
    """SGLang counts it at the top, within the answer's tokens."""
    told = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12, "reasoning_tokens": 7}

    response, _ = exchange(chat_request(), {**chat(), "usage": told})

    assert response.usage == Usage(3, 9, reasoning_tokens=7)


def stream(body: bytes) -> list[str]:
    """Return the pieces that a streamed answer comes in."""

    async def run() -> list[str]:
        async with serving(Reply(body)) as server:
            engine = KIND.create(OpenAICompatible(base_url=server.url), Model(name="m"))
            async with engine:
                pieces = await texts_of(engine, chat_request())
            assert server.sent[0].body["stream"] is True
            return pieces

    return asyncio.run(run())


def test_stream_yields_the_text_as_it_comes() -> None:
    """Comments, roles and usage bring no text; [DONE] ends it."""
    pieces = stream(
        b': hello\n\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"He"}}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{"content":"llo"},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{}}\n\n'
        b"data: [DONE]\n\n"
    )

    assert pieces == ["He", "llo"]


def test_stream_that_ends_in_an_error_raises_it() -> None:
    """An error after the first words is no end of the text."""
    with pytest.raises(AskError, match="out of memory"):
        stream(
            b'data: {"choices":[{"delta":{"content":"He"}}]}\n\n'
            b'data: {"error":{"message":"out of memory"}}\n\n'
        )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:8000/v1", 'write "http://localhost:8000/v1"'),
        ("ftp://host/v1", "not an http or https address"),
        ("http:///v1", "not an http or https address"),
        ("http://host:99999/v1", "is not a URL"),
        ("https://user:pass@host/v1", "api_key_env"),
        ("https://host/v1?key=1", r"before any \?"),
        ("http://host/v1/chat/completions", "leave it off"),
    ],
)
def test_base_url_that_cannot_work_is_refused(url: str, told: str) -> None:
    """The message says how to write it."""
    with pytest.raises(ValidationError, match=told):
        OpenAICompatible(base_url=url)


def test_base_url_loses_its_trailing_slash() -> None:
    """Both spellings are the same server, and the same cache key."""
    assert OpenAICompatible(base_url="http://host/v1/").base_url == "http://host/v1"


def test_check_names_every_variable_and_model_key_that_stands_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All faults at once, each at its place."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    monkeypatch.setenv("TWO_LINES", "a\nb")
    settings = OpenAICompatible(
        base_url="http://host/v1", api_key_env="NO_SUCH_KEY", headers_env={"X-A": "TWO_LINES"}
    )

    faults = KIND.check(settings, Model(name="m", dtype="float32"))

    assert [fault.place for fault in faults] == [
        "engine.api_key_env",
        "engine.headers_env.X-A",
        "model.dtype",
    ]
    assert "NO_SUCH_KEY is not set" in faults[0].problem
    assert "line break" in faults[1].problem


def test_engine_without_its_key_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the worker's machine lacks is told by name, and nothing is sent."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    with pytest.raises(EngineStartError, match="NO_SUCH_KEY is not set"):
        exchange(chat_request(), chat(), api_key_env="NO_SUCH_KEY")
