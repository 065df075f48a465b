"""Mistral: what it is sent, and what is made of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from mistralai.client.models import ChatCompletionRequest, ChatCompletionResponse

from runner.engines.mistral import KIND
from runner.errors import ConnectionFailedError, IncompleteResponseError
from runner.values import TokenLogprob, Usage
from tests.engines.asking_engines import chat_request
from tests.providers.native import (
    CALL,
    FORCED,
    PNG,
    SCHEMA,
    TOOL,
    TURNS,
    calling,
    conversation,
    mistral_completion,
    with_image,
)
from tests.providers.pieces import chunk
from tests.providers.wire import KEY, events, exchange, streamed

SAYS = mistral_completion("Hello")
TOKEN = {"token": "3", "logprob": -0.5, "bytes": [51], "token_id": 51}


def unknown_to_sdk(body: dict[str, Any]) -> set[str]:
    """Return the fields of a body that the SDK's own type of it doesn't have."""
    known = ChatCompletionRequest.model_validate(body).model_dump(by_alias=True, mode="json")
    return body.keys() - known.keys()


def test_every_parameter_of_the_table_is_sent_under_its_name() -> None:
    """All that the table declares arrives, with the key as a bearer token; the SDK's type knows all of it."""
    asked: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 7,
        "min_tokens": 1,
        "stop": ["END"],
        "seed": 3,
        "n": 1,
        "logprobs": True,
        "top_logprobs": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repetition_penalty": 1.1,
        "tools": [TOOL],
        "tool_choice": FORCED,
        "reasoning_effort": "high",
        "json_schema": SCHEMA,
    }
    _, sent = exchange("mistral", chat_request(**asked), calling("mistral"))

    table = KIND.capabilities.sampling
    assert set(asked) == set(table) - {"passthrough"}
    expected = {table[name].name: value for name, value in asked.items()}
    expected["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    turns = [{"role": "user", "content": "Hi"}]
    assert sent.body == {"model": "m", "messages": turns, "stream": False, **expected}
    assert unknown_to_sdk(sent.body) == set()
    assert (sent.path, sent.headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")


def test_passthrough_is_sent_verbatim_and_wins() -> None:
    """What the SDK has no argument for goes into the body too, and into no other request."""
    _, sent = exchange("mistral", chat_request(passthrough={"new_thing": {"a": [1]}, "top_p": 0.3}), SAYS)
    _, plain = exchange("mistral", chat_request(), SAYS)

    assert (sent.body["new_thing"], sent.body["top_p"]) == ({"a": [1]}, 0.3)
    assert "new_thing" not in plain.body


def test_passthrough_reaches_a_stream() -> None:
    """It is sent with streams as with answers."""
    reply = events(chunk("Hello", "stop"))

    _, sent = streamed("mistral", chat_request(passthrough={"new_thing": 1}), reply)

    assert (sent.body["new_thing"], sent.body["stream"]) == (1, True)


def test_turns_have_mistrals_form() -> None:
    """It is OpenAI's, but for the developer, who is the system there."""
    _, sent = exchange("mistral", conversation(*TURNS), SAYS)

    assert sent.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "In English."},
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": "", "tool_calls": [{**CALL, "index": 0}], "prefix": False},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "assistant", "content": "3", "prefix": False},
        {"role": "user", "content": "Sure?"},
    ]


@pytest.mark.parametrize("url", [PNG, "https://example.org/cat.png"])
def test_images_arrive_as_they_are(url: str) -> None:
    """A data URL or an address is sent beside the text."""
    _, sent = exchange("mistral", with_image(url), SAYS)

    assert sent.body["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def test_answer_is_read_whole() -> None:
    """Text, thoughts, calls and tokens each have their place."""
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "One and two."}]}
    text = {"type": "text", "text": "Let me add."}
    call = {"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}
    body = mistral_completion([thoughts, text], tool_calls=[call], finish_reason="tool_calls")
    body["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
    ChatCompletionResponse.model_validate(body)

    response, _ = exchange("mistral", chat_request(tools=[TOOL]), body)

    (choice,) = response.choices
    assert (choice.text, choice.reasoning, choice.tool_calls) == ("Let me add.", "One and two.", (CALL,))
    assert choice.finish_reason == "tool_calls"
    assert response.usage == Usage(prompt_tokens=10, completion_tokens=20, cached_tokens=4)
    assert (response.engine, response.engine_version) == ("mistral", "mistral-large-2609")


def test_all_choices_come_in_order() -> None:
    """Choices are sorted by their index; fewer than n is an error."""
    body = mistral_completion("first")
    second = mistral_completion("second", index=1)["choices"]

    response, _ = exchange("mistral", chat_request(n=2), {**body, "choices": [*second, *body["choices"]]})

    assert [choice.text for choice in response.choices] == ["first", "second"]
    with pytest.raises(IncompleteResponseError, match="n is 2"):
        exchange("mistral", chat_request(n=2), body)


def test_logprobs_are_read() -> None:
    """Each token has its probability, its id and the alternatives; none at all is an error."""
    other = {**TOKEN, "token": "4", "logprob": -1.5}
    told = {"content": [{**TOKEN, "top_logprobs": [TOKEN, other]}]}

    response, _ = exchange(
        "mistral", chat_request(logprobs=True, top_logprobs=2), mistral_completion("3", logprobs=told)
    )

    (choice,) = response.choices
    assert choice.logprobs == (TokenLogprob("3", -0.5, 51, (("3", -0.5), ("4", -1.5))),)
    assert choice.cumulative_logprob == -0.5
    with pytest.raises(IncompleteResponseError, match="logprobs"):
        exchange("mistral", chat_request(logprobs=True), SAYS)


def test_json_schema_is_parsed() -> None:
    """The value is beside the text."""
    response, _ = exchange("mistral", chat_request(json_schema=SCHEMA), mistral_completion('{"sum": 3}'))

    assert response.choices[0].parsed == {"sum": 3}


@pytest.mark.parametrize(
    ("said", "finish"),
    [("stop", "stop"), ("length", "length"), ("model_length", "length"), ("paused", "paused")],
)
def test_reason_for_the_end_has_our_name(said: str, finish: str) -> None:
    """What we have no name for stays as it was said."""
    response, _ = exchange("mistral", chat_request(), mistral_completion("Hel", finish_reason=said))

    assert response.choices[0].finish_reason == finish


def test_stream_yields_text_alone() -> None:
    """Thoughts are not shown, and the end is waited for."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    reply = events(chunk([thought]), chunk("Hel"), chunk([{"type": "text", "text": "lo"}]), chunk("", "stop"))

    pieces, _ = streamed("mistral", chat_request(), reply)

    assert pieces == ["Hel", "lo"]


def test_stream_that_ends_before_the_answer_is_a_failed_connection() -> None:
    """Half an answer never passes for a whole one."""
    with pytest.raises(ConnectionFailedError, match="before the answer did"):
        streamed("mistral", chat_request(), events(chunk("Hel"), done=False))
