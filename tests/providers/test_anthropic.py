"""Anthropic: what it is sent, and what is made of its answers."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming as Form

from runner.engines.anthropic import KIND, MAX_TOKENS
from runner.errors import ConnectionFailedError
from runner.values import Usage
from tests.engines.asking_engines import chat_request
from tests.providers.native import (
    CALL,
    FORCED,
    PNG,
    SCHEMA,
    TOOL,
    TURNS,
    anthropic_message,
    calling,
    conversation,
    with_image,
)
from tests.providers.pieces import delta, stream_of
from tests.providers.typed import misfits
from tests.providers.wire import KEY, exchange, streamed

SAYS = anthropic_message({"type": "text", "text": "Hello"})
DECLARED = {
    "name": "add",
    "description": "Adds.",
    "input_schema": TOOL["function"]["parameters"],  # type: ignore[index] # a literal above
}


def test_every_parameter_of_the_table_is_sent_in_anthropics_form() -> None:
    """All that the table declares arrives as the SDK's own type says, with the key as a bearer token."""
    asked: dict[str, Any] = {
        "max_tokens": 7,
        "stop": ["END"],
        "tools": [TOOL],
        "tool_choice": FORCED,
        "json_schema": SCHEMA,
        "reasoning_effort": "high",
        "continue_final_message": True,
    }
    _, sent = exchange("anthropic", chat_request(**asked), calling("anthropic"))

    assert set(asked) == set(KIND.capabilities.sampling) - {"passthrough"}
    assert sent.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 7,
        "stop_sequences": ["END"],
        "tools": [DECLARED],
        "tool_choice": {"type": "tool", "name": "add"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "thinking": {"type": "adaptive", "display": "summarized"},
    }
    assert misfits(Form, sent.body) == []
    assert (sent.path, sent.headers["authorization"]) == ("/v1/messages", f"Bearer {KEY}")
    assert sent.headers["anthropic-version"] == "2026-10-21"


def test_max_tokens_is_always_sent() -> None:
    """The API has no default: what the plan shows is what is sent."""
    _, sent = exchange("anthropic", chat_request(), SAYS)

    assert sent.body["max_tokens"] == MAX_TOKENS == KIND.capabilities.defaults["max_tokens"]


def test_passthrough_is_sent_verbatim_and_wins() -> None:
    """What the table hasn't goes into the body as it is."""
    _, sent = exchange("anthropic", chat_request(passthrough={"service_tier": "auto", "max_tokens": 5}), SAYS)

    assert (sent.body["service_tier"], sent.body["max_tokens"]) == ("auto", 5)


@pytest.mark.parametrize(
    ("choice", "told"),
    [("auto", {"type": "auto"}), ("none", {"type": "none"}), ("required", {"type": "any"})],
)
def test_tool_choice_has_anthropics_words(choice: str, told: dict[str, str]) -> None:
    """Each word has its own there."""
    _, sent = exchange("anthropic", chat_request(tools=[TOOL], tool_choice=choice), calling("anthropic"))

    assert sent.body["tool_choice"] == told


def test_effort_none_turns_thinking_off() -> None:
    """No effort is sent with it."""
    _, sent = exchange("anthropic", chat_request(reasoning_effort="none"), SAYS)

    assert sent.body["thinking"] == {"type": "disabled"}
    assert "output_config" not in sent.body


def test_legacy_sampling_asks_as_the_api_was() -> None:
    """The setting widens the table, and the version of 2023 goes out with what it honours."""
    legacy = KIND.settings.model_validate({"kind": "anthropic", "legacy_sampling": True})
    asked: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "top_k": 4}

    _, sent = exchange("anthropic", chat_request(**asked), SAYS, legacy_sampling=True)

    assert {name: sent.body[name] for name in asked} == asked
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert set(KIND.honours(legacy).sampling) - set(KIND.capabilities.sampling) == set(asked)
    assert not asked.keys() & KIND.capabilities.sampling.keys()


def test_turns_have_anthropics_form() -> None:
    """System texts stand apart, calls and their results are blocks; the SDK's types agree."""
    _, sent = exchange("anthropic", conversation(*TURNS), SAYS)

    assert sent.body["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "In English."},
    ]
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "3"}]}
    assert sent.body["messages"] == [
        {"role": "user", "content": "1 + 2?"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}],
        },
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "Sure?"},
    ]
    assert misfits(Form, sent.body) == []


def test_results_of_one_turns_calls_stand_in_one_message() -> None:
    """Anthropic wants all of them in the message that follows the calls."""
    calls = [CALL, {**CALL, "id": "c2"}]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "3"} for call in calls]

    _, sent = exchange(
        "anthropic", conversation(TURNS[2], {"role": "assistant", "tool_calls": calls}, *results), SAYS
    )

    assert [block["tool_use_id"] for block in sent.body["messages"][2]["content"]] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (PNG, {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}),
        ("https://example.org/cat.png", {"type": "url", "url": "https://example.org/cat.png"}),
    ],
)
def test_images_are_sources(url: str, source: dict[str, str]) -> None:
    """A data URL is split into type and data; an address is sent as one."""
    _, sent = exchange("anthropic", with_image(url), SAYS)

    assert sent.body["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "source": source},
    ]
    assert misfits(Form, sent.body) == []


def test_answer_is_read_whole() -> None:
    """Text, thoughts, calls and tokens each have their place, and the prompt's count has the cached ones."""
    body = anthropic_message(
        {"type": "thinking", "thinking": "One and two.", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "add."},
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
        stop_reason="tool_use",
        usage={
            "input_tokens": 10,
            "output_tokens": 20,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 4,
            "output_tokens_details": {"thinking_tokens": 5},
        },
    )
    SdkMessage.model_validate(body)

    response, _ = exchange("anthropic", chat_request(tools=[TOOL]), body)

    (choice,) = response.choices
    assert (choice.text, choice.reasoning, choice.tool_calls) == ("Let me add.", "One and two.", (CALL,))
    assert choice.finish_reason == "tool_calls"
    assert response.usage == Usage(
        prompt_tokens=17, completion_tokens=20, cached_tokens=3, reasoning_tokens=5
    )
    assert (response.engine, response.engine_version) == ("anthropic", "claude-sonnet-5-20261001")


def test_json_schema_is_parsed() -> None:
    """The value is beside the text."""
    body = anthropic_message({"type": "text", "text": '{"sum": 3}'})

    response, _ = exchange("anthropic", chat_request(json_schema=SCHEMA), body)

    assert response.choices[0].parsed == {"sum": 3}


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_reason_for_the_end_has_our_name(said: str, finish: str) -> None:
    """A refusal is an answer, an empty one mostly; what we have no name for stays as it was said."""
    response, _ = exchange("anthropic", chat_request(), anthropic_message(stop_reason=said))

    assert (response.choices[0].finish_reason, response.choices[0].text) == (finish, "")


def test_stream_yields_text_alone() -> None:
    """Thoughts are not shown, and the end is waited for."""
    reply = stream_of(
        {"type": "message_start", "message": anthropic_message(stop_reason=None)},
        delta(type="thinking_delta", thinking="hm"),
        delta(type="text_delta", text="Hel"),
        delta(type="text_delta", text="lo"),
        {"type": "message_stop"},
    )

    pieces, sent = streamed("anthropic", chat_request(), reply)

    assert pieces == ["Hel", "lo"]
    assert sent.body["stream"] is True


def test_stream_that_ends_before_the_answer_is_a_failed_connection() -> None:
    """Half an answer never passes for a whole one."""
    with pytest.raises(ConnectionFailedError, match="before the answer did"):
        streamed("anthropic", chat_request(), stream_of(delta(type="text_delta", text="Hel")))


def test_model_that_omits_max_tokens_is_refused_by_name() -> None:
    """It can't be asked without."""
    from runner.spec import Model

    settings = KIND.settings.model_validate({"kind": "anthropic"})

    (fault,) = KIND.check(settings, Model(name="m", omit=("max_tokens",)))

    assert (fault.place, "max_tokens" in fault.problem) == ("model.omit", True)
