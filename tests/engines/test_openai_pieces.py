from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.errors import (
    ConnectionFailedError,
    IncompleteResponseError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from runner.spec import Model
from runner.values import Request, Response
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.chunk_kit import texts_of
from tests.engines.scripted_server import Reply, chat, serving


def streamed(*events: Any, done: bool = True) -> Reply:
    """Return an answer in pieces, as servers send it."""
    ended = ("[DONE]",) if done else ()
    lines = [event if isinstance(event, str) else json.dumps(event) for event in (*events, *ended)]
    return Reply("".join(f"data: {line}\n\n" for line in lines).encode())


def delta(index: int = 0, finish: str | None = None, **said: Any) -> dict[str, Any]:
    """Return an event that brings a piece of one choice."""
    return {"choices": [{"index": index, "delta": said, "finish_reason": finish}]}


def texts(reply: Reply, **sampling: Any) -> list[str]:
    """Return the texts that an engine streams."""

    async def go() -> list[str]:
        async with serving(reply) as server:
            settings = OpenAICompatible(base_url=server.url)
            async with KIND.create(settings, Model(name="m")) as engine:
                return await texts_of(engine, chat_request(**sampling))

    return asyncio.run(go())


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
        delta(0, "stop"),
        delta(1, "length"),
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


def test_call_of_a_tool_keeps_its_id_and_name() -> None:
    """Some servers send both again with every piece, and empty."""
    first = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a":'}}
    reply = streamed(
        delta(tool_calls=[first]),
        delta(
            tool_calls=[{"index": 0, "id": "", "function": {"name": "", "arguments": " 1}"}}],
            finish="tool_calls",
        ),
    )
    response, _ = ask(chat_request(tools=[{"type": "function"}]), reply)

    assert response.choices[0].tool_calls == (
        {"id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}},
    )


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
    with pytest.raises(MalformedResponseError):
        texts(reply)


@pytest.mark.parametrize(
    "reply",
    [
        streamed(delta(content="The answer is"), done=False),
        Reply(b'data: {"choices":[{"delta":{"content":"4"}}]}\n\ndata: {"choi'),
        streamed(delta(0, "stop", content="4"), delta(1, content="5"), done=False),
    ],
)
def test_answer_that_is_cut_off_is_a_failed_connection(reply: Reply) -> None:
    """A stream that ends in good order before the answer did brings half an answer, which is none."""
    with pytest.raises(ConnectionFailedError, match="ended before the answer did"):
        ask(chat_request(), reply)
    with pytest.raises(ConnectionFailedError, match="ended before the answer did"):
        texts(reply)


def test_answer_with_too_few_choices_is_cut_off_unless_the_server_says_it_is_done() -> None:
    """One choice of two has ended, and the other hasn't begun."""
    with pytest.raises(ConnectionFailedError):
        ask(chat_request(n=2), streamed(delta(finish="stop", content="4"), done=False))


@pytest.mark.parametrize(
    "reply",
    [
        streamed(delta(content="4"), delta(finish="stop"), done=False),
        Reply(b'data: {"choices":[{"delta":{"content":"4"},"finish_reason":"stop"}]}\n\ndata: [DONE]'),
        Reply(b'data: {"choices":[{"delta":{"content":"4"},"finish_reason":"stop"}]}'),
    ],
)
def test_answer_that_says_why_it_ended_is_whole(reply: Reply) -> None:
    """Not every server says that it is done, or ends its last line."""
    assert ask(chat_request(), reply)[0].text == "4"
    assert texts(reply) == ["4"]


def test_answer_in_one_piece_to_a_stream_is_one() -> None:
    """A server that doesn't stream has been paid too; what is no answer is none, and no empty text."""
    response, _ = ask(chat_request(), Reply(chat("42")))
    assert (response.text, response.choices[0].finish_reason) == ("42", "stop")
    assert "".join(texts(Reply(chat("42")))) == "42"
    for asked in (lambda reply: ask(chat_request(), reply), texts):
        bodies: tuple[Any, ...] = ({"answer": "42"}, {"choices": []}, b"<html>", b"")
        for body in bodies:
            with pytest.raises(MalformedResponseError, match="has no events"):
                asked(Reply(body))
        with pytest.raises(ServerError, match="not today"):
            asked(Reply({"detail": "not today"}))
        with pytest.raises(RateLimitError, match="slow down"):
            asked(Reply({"error": {"message": "slow down", "code": 429}}))


@pytest.mark.parametrize(
    "event",
    [
        {"choices": ["x"]},
        {"choices": {"index": 0}},
        {"choices": [{"index": 0, "delta": "x"}]},
        {"choices": [{"index": 0, "delta": {"content": {"a": 1}}}]},
    ],
)
def test_event_of_odd_shape_is_malformed(event: dict[str, Any]) -> None:
    """Whatever a server sends is its own fault, and asked again."""
    call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}
    with pytest.raises(MalformedResponseError):
        ask(chat_request(), streamed(delta(content="4", tool_calls=[call]), event, delta(finish="stop")))


@pytest.mark.parametrize("odd", ["x", ["x"], [None], 7, [{"index": "a"}], [{"function": "f"}]])
def test_odd_calls_cost_only_who_asked_for_calls(odd: Any) -> None:
    """In pieces as in one."""
    message = {"role": "assistant", "content": "42", "tool_calls": odd}
    bodies = (
        streamed({"choices": [{"index": 0, "delta": message}]}, delta(finish="stop")),
        Reply({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}),
    )
    for body in bodies:
        assert ask(chat_request(), body)[0].text == "42"
    if odd != [{"index": "a"}]:
        for body in bodies:
            with pytest.raises(IncompleteResponseError, match=r"tool.call"):
                ask(chat_request(tools=[{"type": "function", "function": {"name": "f"}}]), body)


@pytest.mark.parametrize("index", ["a", True, [0], -1, 1])
def test_index_of_the_only_choice_does_not_matter(index: Any) -> None:
    """The answer, in pieces or in one, and the text that streams are its own."""
    said, ended = (
        {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}
        for text, finish in (("4", None), ("2", "stop"))
    )
    whole = chat("42", index=index)

    assert ask(chat_request(), streamed(said, ended))[0].text == "42"
    assert "".join(texts(streamed(said, ended))) == "42"
    assert ask(chat_request(), Reply(whole))[0].text == "42"


def test_index_that_tells_choices_apart_has_to_be_readable() -> None:
    """Where two were asked for."""
    two = {
        "choices": [{"index": "a", "message": {"content": "4"}}, {"index": 1, "message": {"content": "2"}}]
    }
    event = {"choices": [{"index": "a", "delta": {"content": "4"}, "finish_reason": "stop"}]}
    for body in (Reply(two), streamed(event)):
        with pytest.raises(MalformedResponseError):
            ask(chat_request(n=2), body)


def test_index_without_bound_makes_no_calls() -> None:
    """A call is one, whatever its number."""
    calls = [{"index": 2**40, "id": "c1", "function": {"name": "f", "arguments": "{}"}}]
    response, _ = ask(chat_request(), streamed(delta(tool_calls=calls, finish="tool_calls")))

    assert [call["id"] for call in response.choices[0].tool_calls] == ["c1"]


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_stream_of_a_server_that_fails_is_a_server_error(reason: str) -> None:
    """What it said before is no answer."""
    reply = streamed(delta(content="The"), delta(finish=reason))
    with pytest.raises(ServerError, match=reason):
        ask(chat_request(), reply)
    with pytest.raises(ServerError, match=reason):
        texts(reply)


def test_together_streams_a_logprob_with_each_token() -> None:
    """They become the answer's logprobs."""
    reply = streamed(
        {"choices": [{"index": 0, "delta": {"content": "8"}, "logprobs": -0.5, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "5"}, "logprobs": -0.25, "finish_reason": "stop"}]},
    )

    response, _ = ask(chat_request(logprobs=True), reply)

    told = response.choices[0].logprobs or ()
    assert [(token.token, token.logprob) for token in told] == [("8", -0.5), ("5", -0.25)]


def test_stop_string_that_a_server_leaves_is_cut_off() -> None:
    """In an answer that comes whole, and in one that is put together."""
    reply = streamed(delta(content="abc<e"), delta(content="nd>", finish="stop"))

    response, _ = ask(chat_request(stop=["<end>"]), reply)

    assert response.text == "abc"


@pytest.mark.parametrize("passed", ["include_stop_str_in_output", "no_stop_trim", "echo"])
def test_stop_string_may_be_asked_for(passed: str) -> None:
    """Who has it included in the output, or the prompt repeated there, which may hold it, keeps it."""
    reply = streamed(delta(content="abc"), delta(content="<end>", finish="stop"))

    response, _ = ask(chat_request(stop="<end>", passthrough={passed: True}), reply)

    assert response.text == "abc<end>"


def test_stop_string_is_never_shown_while_streaming() -> None:
    """What may be its beginning waits until it is known to be none."""
    events = [delta(content="a<"), delta(content="b<en"), delta(content="d>", finish="stop")]

    assert texts(streamed(*events), stop=["<end>"]) == ["a", "<b"]


def test_text_that_only_begins_like_a_stop_string_comes_whole() -> None:
    """What was held back is shown at the end."""
    assert "".join(texts(streamed(delta(content="a<en", finish="stop")), stop=["<end>"])) == "a<en"
