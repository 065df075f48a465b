"""Providers whose API has OpenAI's form: what each is sent, and what is made of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as OpenAIChat
from together.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as TogetherChat

from runner.engines.constraints import require_obeyed
from runner.engines.registry import engine_kinds
from runner.errors import IncompleteResponseError
from runner.values import Message, Request, TokenLogprob, Usage
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import chat
from tests.providers.typed import misfits
from tests.providers.wire import KEY, events, exchange, streamed

KINDS = ("openai", "together", "fireworks", "xai", "deepseek")
FORMS = {"openai": OpenAIChat, "together": TogetherChat}
"""The types that the SDKs have of a request."""

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


def conversation(*messages: Message, **sampling: Any) -> Request:
    """Return a request with these messages."""
    plain = chat_request(**sampling)
    return Request("chat", messages, sampling, plain.scope)


def takes(feature: str) -> list[str]:
    """Return the kinds whose table has a parameter or a feature."""
    found = []
    for kind in KINDS:
        can = engine_kinds()[kind].capabilities
        if feature in can.sampling or feature in can.features:
            found.append(kind)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_the_table_is_sent_under_its_name(kind: str) -> None:
    """All that a kind declares to take arrives, with the key as a bearer token, and nothing else does."""
    values: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "max_tokens": 7,
        "stop": ["\n"],
        "ignore_eos": False,
        "seed": 3,
        "n": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repetition_penalty": 1.1,
        "logit_bias": {5: 1},
        "tools": [TOOL],
        "tool_choice": "auto",
        "reasoning_effort": "high",
        "chat_template_kwargs": {"thinking": True},
        "json_schema": SCHEMA,
    }
    apart = {"logprobs", "top_logprobs", "passthrough"}
    table = engine_kinds()[kind].capabilities.takes("chat")
    asked = {name: values[name] for name in table if name not in apart}

    _, sent = exchange(kind, chat_request("Hi", **asked), chat('{"sum": 3}'))

    expected = {table[name].name: value for name, value in asked.items()}
    expected |= {"logit_bias": {"5": 1}} if "logit_bias" in asked else {}
    expected |= {"response_format": FORMAT} if "json_schema" in asked else {}
    assert sent.body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **expected}
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    if kind in FORMS:
        assert misfits(FORMS[kind], sent.body) == []


@pytest.mark.parametrize("kind", KINDS)
def test_turns_arrive_as_they_are(kind: str) -> None:
    """System text, earlier answers, tool calls and their results go out in OpenAI's form."""
    asked = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    messages: tuple[Message, ...] = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 2?"},
        asked,
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
    )

    _, sent = exchange(kind, conversation(*messages), chat("3"))

    call = {"index": 0, **CALL} if kind == "together" else CALL
    assert sent.body["messages"] == [*messages[:2], asked | {"tool_calls": [call]}, messages[3]]
    if kind in FORMS:
        assert misfits(FORMS[kind], sent.body) == []


@pytest.mark.parametrize("url", ["data:image/png;base64,iVBORw0KGgo=", "https://example.org/cat.png"])
@pytest.mark.parametrize("kind", takes("images"))
def test_images_arrive_as_they_are(kind: str, url: str) -> None:
    """A data URL or an address is sent beside the text."""
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]

    _, sent = exchange(kind, conversation({"role": "user", "content": parts}), chat("A cat"))

    assert sent.body["messages"] == [{"role": "user", "content": parts}]
    if kind in FORMS:
        assert misfits(FORMS[kind], sent.body) == []


@pytest.mark.parametrize("kind", takes("n"))
def test_n_gives_so_many_choices_or_an_error(kind: str) -> None:
    """Choices come in their order; fewer than were asked for are no answer."""
    body = {"choices": [{"index": i, "message": {"content": t}} for i, t in ((1, "b"), (0, "a"))]}

    response, sent = exchange(kind, chat_request(n=2), body)

    assert sent.body["n"] == 2
    assert [choice.text for choice in response.choices] == ["a", "b"]
    with pytest.raises(IncompleteResponseError, match="n is 2, the answer has 1"):
        exchange(kind, chat_request(n=2), chat("a"))


@pytest.mark.parametrize("kind", takes("logprobs"))
def test_logprobs_come_with_alternatives_or_an_error(kind: str) -> None:
    """Both what was chosen and what else was likely arrive; an answer without them is no answer."""
    top = [{"token": "4", "logprob": -0.1}, {"token": "5", "logprob": -2.5}]
    tokens = {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": top}]}
    asked = chat_request(logprobs=True, top_logprobs=2)

    response, sent = exchange(kind, asked, chat("4", logprobs=tokens))

    (choice,) = response.choices
    assert choice.logprobs == (TokenLogprob("4", -0.1, top=(("4", -0.1), ("5", -2.5))),)
    assert sent.body["logprobs"] == (2 if kind == "together" else True)
    assert ("top_logprobs" in sent.body) == (kind != "together")
    with pytest.raises(IncompleteResponseError, match="logprobs were asked for"):
        exchange(kind, asked, chat("4"))


@pytest.mark.parametrize("kind", takes("json_schema"))
def test_answer_to_a_schema_is_parsed(kind: str) -> None:
    """The value is in `parsed`; whether an answer obeys is checked once it is on disk."""
    request = chat_request(json_schema=SCHEMA)

    response, _ = exchange(kind, request, chat('{"sum": 3}'))

    assert response.choices[0].parsed == {"sum": 3}
    wrong, _ = exchange(kind, request, chat('{"sum": "3"}'))
    with pytest.raises(IncompleteResponseError, match="does not obey json_schema"):
        require_obeyed(request, wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_tool_calls_are_data_of_the_answer(kind: str) -> None:
    """Calls are handed over as they came, and the reason says so."""
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}

    response, _ = exchange(kind, chat_request(tools=[TOOL]), body)

    (choice,) = response.choices
    assert (choice.text, choice.tool_calls, choice.finish_reason) == ("", (CALL,), "tool_calls")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("kind", KINDS)
def test_reasoning_stays_apart_from_the_answer(kind: str, field: str) -> None:
    """What a model thought is not what it said, though the SDK's types may not know the field."""
    message = {"role": "assistant", "content": "3", field: "1 and 2"}

    response, _ = exchange(kind, chat_request(), {"choices": [{"index": 0, "message": message}]})

    (choice,) = response.choices
    assert (choice.text, choice.reasoning) == ("3", "1 and 2")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("function_call", "tool_calls"),
        ("sensitive", "sensitive"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_finish_reasons_have_the_same_names_everywhere(kind: str, told: str, expected: str) -> None:
    """Providers' own words for stop become stop; what has no common name stays as it is."""
    response, _ = exchange(kind, chat_request(), chat("x", finish_reason=told))

    assert response.choices[0].finish_reason == expected


@pytest.mark.parametrize("kind", KINDS)
def test_refusal_is_an_answer(kind: str) -> None:
    """A model that refuses to fill a schema has answered; asking again would give the same."""
    message = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    response, _ = exchange(kind, chat_request(json_schema=SCHEMA), body)

    (choice,) = response.choices
    assert (choice.text, choice.finish_reason) == ("I can't help with that.", "content_filter")
    assert choice.parsed is None


@pytest.mark.parametrize("kind", KINDS)
def test_usage_counts_cached_and_reasoning_tokens(kind: str) -> None:
    """Cached ones are part of the prompt, reasoning is part of the answer."""
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 103,
        "total_tokens": 135,
        "prompt_tokens_details": {"cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 94},
    }

    response, _ = exchange(kind, chat_request(), {**chat("3"), "usage": usage})

    assert response.usage == Usage(32, 103, cached_tokens=6, reasoning_tokens=94)
    assert response.engine == kind


@pytest.mark.parametrize("kind", KINDS)
def test_stream_gives_the_answers_text_alone(kind: str) -> None:
    """Text comes piece by piece; reasoning and events without choices are passed over."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, {"reasoning_content": "hm"}, {"content": "Par"}]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in [*deltas, {"content": "is\u2028!"}]]

    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    pieces, sent = streamed(kind, chat_request(), events(*chunks, ended, {"choices": [], "usage": {}}))

    assert pieces == ["Par", "is\u2028!"]
    assert sent.body["stream"] is True


@pytest.mark.parametrize("kind", KINDS)
def test_passthrough_is_sent_as_it_is(kind: str) -> None:
    """What our list hasn't reaches the provider verbatim, beside the rest."""
    own = {"service_tier": "flex", "nested": {"a": [1, None]}}

    _, sent = exchange(kind, chat_request(temperature=0.5, passthrough=own), chat())

    assert sent.body["service_tier"] == "flex"
    assert sent.body["nested"] == {"a": [1, None]}
    assert sent.body["temperature"] == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_headers_from_the_environment_are_sent(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway's own header goes out with its value from the variable that is named."""
    monkeypatch.setenv("A_TEAM", "blue")

    _, sent = exchange(kind, chat_request(), chat(), headers_env={"X-Team": "A_TEAM"})

    assert sent.headers["x-team"] == "blue"
