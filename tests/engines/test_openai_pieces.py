from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.errors import MalformedResponseError
from runner.spec import Model
from runner.values import Request, Response
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply, serving


def streamed(*events: Any) -> Reply:
    """Return an answer in pieces, as servers send it."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in (*events, "[DONE]")]
    return Reply("".join(f"data: {line}\n\n" for line in lines).encode())


def delta(index: int = 0, finish: str | None = None, **said: Any) -> dict[str, Any]:
    """Return an event that brings a piece of one choice."""
    return {"choices": [{"index": index, "delta": said, "finish_reason": finish}]}


def ask(request: Request, reply: Reply) -> tuple[Response, dict[str, Any]]:
    """Return the answer that is put together, and what was asked."""

    async def go() -> tuple[Response, dict[str, Any]]:
        async with serving(reply) as server:
            settings = OpenAICompatible(base_url=server.url, stream=True)
            async with KIND.create(settings, Model(name="m")) as engine:
                return await engine.generate(request), server.sent[0].body

    return asyncio.run(go())


def test_pieces_become_one_answer_with_its_times() -> None:
    """Text, reasoning, finish reason and usage are those of the whole; the first piece is timed."""
    reply = streamed(
        delta(role="assistant", content=""),
        delta(reasoning_content="Let me "),
        delta(reasoning_content="think."),
        delta(content="8"),
        delta(content="5"),
        delta(finish="stop"),
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}, "system_fingerprint": "v1"},
    )
    response, body = ask(chat_request(), reply)

    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert (response.text, response.choices[0].reasoning) == ("85", "Let me think.")
    assert response.choices[0].finish_reason == "stop"
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (5, 2)
    assert response.engine_version == "v1"
    timing = response.timing
    assert timing.first_token is not None
    assert timing.inter_token is not None
    assert 0 < timing.first_token <= timing.seconds
    assert 3 * timing.inter_token == pytest.approx(timing.seconds - timing.first_token, abs=0.05)


def test_choices_and_logprobs_are_kept_apart() -> None:
    """Pieces of two choices come in any order."""
    token = {"token": "a", "logprob": -0.5, "top_logprobs": []}
    reply = streamed(
        {"choices": [{"index": 1, "delta": {"content": "x"}, "logprobs": {"content": [token]}}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "logprobs": {"content": [token]}}]},
    )
    response, _ = ask(chat_request(n=2, logprobs=True), reply)

    assert [choice.text for choice in response.choices] == ["ab", "x"]
    assert [choice.cumulative_logprob for choice in response.choices] == [-1.0, -0.5]


def test_calls_of_tools_are_put_together() -> None:
    """Their arguments come as pieces of text."""
    reply = streamed(
        delta(
            tool_calls=[
                {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        ),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
        delta(tool_calls=[{"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": " 1}"}}], finish="tool_calls"),
    )
    response, _ = ask(chat_request(tools=[{"type": "function"}]), reply)

    first, second = response.choices[0].tool_calls
    assert (first["id"], first["function"]) == ("c1", {"name": "f", "arguments": '{"a": 1}'})
    assert second["function"]["name"] == "g"


def test_raw_completion_comes_in_pieces_too() -> None:
    """Its text and its token ids grow."""
    reply = streamed(
        {"choices": [{"index": 0, "text": "8", "token_ids": [25]}]},
        {"choices": [{"index": 0, "text": "5", "token_ids": [22], "finish_reason": "stop"}]},
    )
    response, _ = ask(text_request(), reply)

    assert (response.text, response.choices[0].token_ids) == ("85", (25, 22))


@pytest.mark.parametrize("reply", [streamed("{"), streamed(), streamed({"choices": []})])
def test_stream_without_an_answer_is_malformed(reply: Reply) -> None:
    """What is no JSON, and what brings no choice, is asked again."""
    with pytest.raises(MalformedResponseError):
        ask(chat_request(), reply)
