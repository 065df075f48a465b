"""A call of a tool that tool_choice forces is asked for: an answer without it is an error, on every wire."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import IncompleteResponseError
from runner.values import Request
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import chat
from tests.providers.native import CALL, FORCED, TOOL, calling, saying
from tests.providers.native import KINDS as NATIVE
from tests.providers.wire import answer, exchange, failure

SPOKEN: dict[str, Any] = {
    **dict.fromkeys(
        ("openai", "together", "fireworks", "xai", "deepseek", "openai_compatible", "vllm", "sglang"),
        chat("It is 3."),
    ),
    **{kind: saying(kind, "It is 3.") for kind in NATIVE},
}
"""Engine kind -> its server's answer in words."""

CUT = {"anthropic": {"stop_reason": "max_tokens"}, "google": {"finishReason": "MAX_TOKENS"}}
FILTERED = {"anthropic": {"stop_reason": "refusal"}, "google": {"finishReason": "SAFETY"}}
KINDS = tuple(SPOKEN)


def called(kind: str) -> dict[str, Any]:
    """Return an answer that calls the tool add."""
    if kind in NATIVE:
        return calling(kind)
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    return chat(message=message, finish_reason="tool_calls")


def ended(kind: str, own: dict[str, dict[str, str]], reason: str) -> dict[str, Any]:
    """Return the answer in words, ended for a reason that the provider has a word of its own for."""
    body = SPOKEN[kind]
    if kind == "anthropic":
        return {**body, **own[kind]}
    place = "candidates" if kind == "google" else "choices"
    (only,) = body[place]
    return {**body, place: [{**only, **own.get(kind, {"finish_reason": reason})}]}


def forced(choice: Any) -> Request:
    """Return a request that has a tool called."""
    other = {"type": "function", "function": {"name": "sub", "parameters": {"type": "object"}}}
    return chat_request(tools=[TOOL, other], tool_choice=choice)


@pytest.mark.parametrize("kind", KINDS)
def test_answer_without_a_required_call_is_an_error(kind: str) -> None:
    """Words alone are not what was asked."""
    error = failure(kind, answer(SPOKEN[kind]), forced("required"))

    assert type(error) is IncompleteResponseError
    assert error.message == "tool_choice is required, the answer calls no tool"


@pytest.mark.parametrize("kind", KINDS)
def test_answer_without_the_call_that_was_named_is_an_error(kind: str) -> None:
    """Nor is a call of another tool."""
    sub = {"type": "function", "function": {"name": "sub"}}
    silent = failure(kind, answer(SPOKEN[kind]), forced(FORCED))
    other = failure(kind, answer(called(kind)), forced(sub))

    assert type(silent) is type(other) is IncompleteResponseError
    assert silent.message == "tool_choice forces add, the answer calls no tool"
    assert other.message == "tool_choice forces sub, the answer calls add"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("choice", ["required", FORCED, "auto", "none"])
def test_call_that_was_asked_for_is_an_answer(kind: str, choice: Any) -> None:
    """So is whatever comes where nothing is forced."""
    response, _ = exchange(kind, forced(choice), called(kind))

    assert response.choices[0].tool_calls[0]["function"]["name"] == "add"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("choice", ["auto", "none"])
def test_words_are_an_answer_where_no_call_is_forced(kind: str, choice: str) -> None:
    """The model may do without."""
    assert exchange(kind, forced(choice), SPOKEN[kind])[0].text == "It is 3."


@pytest.mark.parametrize("kind", KINDS)
def test_answer_that_was_cut_short_stays_an_answer(kind: str) -> None:
    """It ended before the call could come, and its finish reason says so."""
    for own, reason in ((CUT, "length"), (FILTERED, "content_filter")):
        response, _ = exchange(kind, forced("required"), ended(kind, own, reason))

        assert response.choices[0].finish_reason == reason


def test_each_choice_has_its_call() -> None:
    """One that calls makes up for none of the others."""
    body = chat(message={"role": "assistant", "content": None, "tool_calls": [CALL]})
    body["choices"].append({**SPOKEN["openai"]["choices"][0], "index": 1})
    request = chat_request(tools=[TOOL], tool_choice="required", n=2)

    assert type(failure("openai", answer(body), request)) is IncompleteResponseError


def test_choice_of_another_form_is_the_servers_affair() -> None:
    """What is neither a word nor names a function goes to OpenAI as it is."""
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FORCED]}}

    response, sent = exchange("openai", forced(allowed), SPOKEN["openai"])

    assert (sent.body["tool_choice"], response.text) == (allowed, "It is 3.")


@pytest.mark.parametrize("call", [None, "add", {"function": "add"}, {"function": {}}])
def test_call_without_a_name_is_none_of_the_named_tool(call: Any) -> None:
    """Whatever a server puts there."""
    body = chat(message={"role": "assistant", "content": None, "tool_calls": [call]})

    assert type(failure("openai_compatible", answer(body), forced(FORCED))) is IncompleteResponseError
