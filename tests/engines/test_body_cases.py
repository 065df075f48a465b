"""Answers in one piece as servers were seen to send them: side fields that are odd don't cost the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.engines.openai_compatible import KIND
from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    EngineError,
    IncompleteResponseError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from runner.values import Response
from tests.engines.answer_kit import CASES, ask
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply, chat

BODIES = CASES / "bodies"


def case(name: str, status: int = 200) -> Reply:
    """Return a stored body as a reply."""
    return Reply((BODIES / f"{name}.json").read_bytes(), status)


def failure(reply: Reply, **settings: Any) -> AskError:
    """Return the error that a reply is."""
    with pytest.raises(AskError) as caught:
        ask(reply, chat_request(max_tokens=5), **settings)
    return caught.value


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("created", (3, 2)),
        ("fingerprint-number", (3, 2)),
        ("index-text", (3, 2)),
        ("logprobs-unasked", (3, 2)),
        ("reasoning-object", (3, 2)),
        ("refusal-false", (3, 2)),
        ("usage-details-list", (11, 2)),
        ("usage-floats", (11, 2)),
        ("usage-fraction", (None, 57)),
    ],
)
def test_stored_body_is_the_answer(name: str, usage: tuple[int | None, int]) -> None:
    """With the tokens that it counts."""
    response, _ = ask(case(name, 201 if name == "created" else 200))

    assert (response.text, response.choices[0].finish_reason) == ("42", "stop")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == usage
    assert response.choices[0].reasoning == ("think" if name == "reasoning-object" else None)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("rate-limit-in-200", RateLimitError, "rate limit"),
        ("out-of-credit", EngineError, "insufficient balance"),
    ],
)
def test_stored_error_is_the_servers_own(name: str, kind: type[AskError], message: str) -> None:
    """Though its status is good."""
    error = failure(case(name))

    assert (type(error), error.message) == (kind, message)


def test_refusal_of_max_tokens_names_the_setting_that_sends_the_other_field() -> None:
    """No row can be answered before it is set."""
    other = {"error": {"message": "Model o1: 'max_tokens' is not supported, use 'max_completion_tokens'"}}
    for reply in (case("wants-max-completion-tokens", 400), Reply(other, 400)):
        error = failure(reply)

        assert type(error) is EngineError
        assert error.message.endswith("(set engine.max_tokens_field=max_completion_tokens)")


def test_refusal_of_max_completion_tokens_names_the_setting_too() -> None:
    """Older servers know max_tokens alone."""
    told = {"error": {"message": "Unrecognized request argument supplied: max_completion_tokens"}}

    error = failure(Reply(told, 400), max_tokens_field="max_completion_tokens")

    assert type(error) is EngineError
    assert error.message.endswith("(set engine.max_tokens_field=max_tokens)")


@pytest.mark.parametrize(
    "message", ["max_tokens is too large: 5", "max_tokens must not be set with max_completion_tokens"]
)
def test_other_refusals_of_max_tokens_are_the_rows(message: str) -> None:
    """Another spelling wouldn't help."""
    assert type(failure(Reply({"error": {"message": message}}, 400))) is BadRequestError


def test_setting_changes_the_spelling_and_not_the_request_key() -> None:
    """What is asked stays the same."""
    assert "max_tokens_field" in KIND.neutral


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 299])
def test_whole_answer_with_any_good_status_is_one(status: int) -> None:
    """In one piece and in pieces."""
    assert ask(Reply(chat("42"), status))[0].text == "42"
    stream = b'data: {"choices":[{"delta":{"content":"42"},"finish_reason":"stop"}]}\n\n'
    assert ask(Reply(stream, status), stream=True)[0].text == "42"


@pytest.mark.parametrize("status", [202, 204])
def test_good_status_without_an_answer_is_malformed(status: int) -> None:
    """Nothing was said."""
    assert type(failure(Reply(b"", status))) is MalformedResponseError


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"detail": "Worker died"}, ServerError, "Worker died"),
        ({"detail": [{"loc": ["body"], "msg": "odd"}]}, ServerError, "odd"),
        ({"choices": None, "detail": "Worker died"}, ServerError, "Worker died"),
        ({"error": "no workers", "error_type": "overloaded"}, ServerError, "no workers"),
        ({"error": "inputs too many", "error_type": "validation"}, BadRequestError, "inputs too many"),
        ({"object": "error", "message": "CUDA out of memory", "code": 50002}, ServerError, "CUDA"),
        (
            {"object": "error", "message": "The model `m` does not exist.", "code": 404},
            EngineError,
            "not exist",
        ),
        ({"error_message": "maximum context length is 4096"}, ContextLengthError, "4096"),
        (
            {"base_resp": {"status_code": 1004, "status_msg": "login fail: no key"}},
            AuthenticationError,
            "login",
        ),
        ({"code": "Arrearage", "message": "Access denied, overdue payment"}, EngineError, "overdue"),
        (
            {"errors": [{"code": 10000, "message": "Authentication error"}], "success": False},
            AuthenticationError,
            "Auth",
        ),
        ({"error": {"message": "busy"}, "choices": []}, ServerError, "busy"),
        ([{"error": {"message": "slow", "code": 429}}], RateLimitError, "slow"),
        (b"<html><body>502 Bad Gateway</body></html>", MalformedResponseError, "Bad Gateway"),
        (b"null", MalformedResponseError, ""),
        (
            {"message": {"role": "assistant", "content": "42"}, "done": True},
            MalformedResponseError,
            "choices",
        ),
        (b'"busy"', ServerError, "busy"),
        ({"choices": {"message": {}}}, MalformedResponseError, "choices"),
        ({"choices": [{"message": {"content": 42}}]}, MalformedResponseError, "content"),
        ({"choices": [{"message": {"content": {"a": 1}}}]}, MalformedResponseError, "content"),
        ({"choices": [{"finish_reason": "stop"}]}, MalformedResponseError, "message"),
    ],
)
def test_body_that_is_no_answer_is_the_error_that_it_tells_of(
    body: Any, kind: type[AskError], message: str
) -> None:
    """With the server's message, where it has one."""
    error = failure(Reply(body))

    assert isinstance(error, kind)
    assert message in error.message


def odd(**fields: Any) -> dict[str, Any]:
    """Return an answer with fields beside its choices."""
    return {**chat("42"), "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **fields}


def odd_choice(**fields: Any) -> dict[str, Any]:
    """Return an answer whose choice has these fields too."""
    body = odd()
    body["choices"][0] |= fields
    return body


def odd_message(**fields: Any) -> dict[str, Any]:
    """Return an answer whose message has these fields too."""
    body = odd()
    body["choices"][0]["message"] |= fields
    return body


SIDE_FIELDS = [
    odd(system_fingerprint={"a": 1}),
    odd(system_fingerprint=False),
    odd(prompt_logprobs="none"),
    odd(prompt_token_ids="none"),
    odd(error=None, error_code=0, error_msg="", base_resp={"status_code": 0, "status_msg": "success"}),
    odd(error_code=0, error_msg="Success"),
    odd(error={"code": 0, "message": ""}),
    odd_choice(index=None),
    odd_choice(index=0.0),
    odd_choice(index=""),
    odd_choice(logprobs={"content": [{"token": "4"}]}),
    odd_choice(logprobs={"tokens": "4", "token_logprobs": None}),
    odd_choice(logprobs=0),
    odd_choice(token_ids=["4", "2"]),
    odd_choice(prompt_token_ids={}),
    odd_choice(prompt_logprobs=[{"x": 1}], prompt_token_ids=[]),
    odd_choice(error={}, stop_reason=7, matched_stop=[1]),
    odd_message(reasoning=False),
    odd_message(reasoning_content=[]),
    odd_message(reasoning=[{"type": "reasoning.encrypted", "data": "x"}]),
    odd_message(refusal={}),
    odd_message(refusal=False, annotations="x", audio=1, function_call=False),
    odd_message(tool_calls={}),
    odd_message(tool_calls=False),
    odd_message(tool_calls="none"),
    odd_message(tool_calls=["x"]),
    odd_message(content=["4", {"type": "text", "text": "2"}]),
    odd_message(content={"type": "text", "text": "42"}),
]


@pytest.mark.parametrize("body", SIDE_FIELDS)
def test_odd_side_field_does_not_cost_the_answer(body: dict[str, Any]) -> None:
    """Nobody asked for it."""
    response, _ = ask(Reply(body))

    assert (response.text, response.usage.completion_tokens) == ("42", 2)
    assert response.choices[0].tool_calls == ()


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf" + json.dumps(odd()).encode(), b"\n\n " + json.dumps(odd()).encode() + b"\r\n"]
)
def test_blanks_and_a_byte_order_mark_do_no_harm(body: bytes) -> None:
    """Some gateways keep a connection open with blank lines."""
    assert ask(Reply(body))[0].text == "42"


def test_numbers_that_json_lacks_do_no_harm_beside_the_answer() -> None:
    """Python's own encoder writes NaN and -Infinity."""
    body = json.dumps(odd_choice(logprobs={"content": [{"token": "42", "logprob": float("-inf")}]}))

    assert ask(Reply(body.encode()))[0].text == "42"


def test_alternative_that_is_impossible_is_none() -> None:
    """Servers send -Infinity for tokens that a constraint forbids."""
    top = [{"token": "42", "logprob": -0.5}, {"token": "7", "logprob": float("-inf")}]
    logprobs = {"content": [{"token": "42", "logprob": -0.5, "top_logprobs": top}]}
    body = json.dumps(odd_choice(logprobs=logprobs)).encode()

    response, _ = ask(Reply(body), chat_request(logprobs=True, top_logprobs=2))

    (token,) = response.choices[0].logprobs or ()
    assert token.top == (("42", -0.5),)


@pytest.mark.parametrize("choices", [b"[]", b"null"])
def test_body_without_choices_and_with_numbers_that_json_lacks_is_malformed(choices: bytes) -> None:
    """Or the error that it tells of."""
    with pytest.raises(MalformedResponseError):
        ask(Reply(b'{"choices":%b,"x":NaN}' % choices))
    with pytest.raises(ServerError, match="late"):
        ask(Reply(b'{"choices":%b,"x":NaN,"detail":"late"}' % choices))


@pytest.mark.parametrize("stream", [False, True])
def test_chat_answer_to_a_raw_prompt_is_no_empty_text(stream: bool) -> None:
    """It has no text where that belongs."""
    with pytest.raises(MalformedResponseError, match="text is missing"):
        ask(Reply(odd()), text_request(), stream=stream)


def test_what_is_left_out_is_noted_with_its_place_and_value() -> None:
    """Empty fields say nothing, and are not worth a word."""
    _, noted = ask(Reply(odd_choice(logprobs=7) | {"usage": {"prompt_tokens": 14417.92}}))

    assert [note.split()[2:4] for note in noted] == [
        ["choices[].logprobs", "7,"],
        ["usage.prompt_tokens", "14417.92,"],
    ]
    assert ask(Reply(odd_choice(logprobs=[])))[1] == []


@pytest.mark.parametrize(
    ("body", "sampling"),
    [
        (odd_choice(logprobs={"content": [{"token": "4"}]}), {"logprobs": True}),
        (odd_choice(logprobs=[]), {"logprobs": True}),
        (odd_choice(logprobs=7), {"logprobs": True}),
        (odd_choice(token_ids=["x"]), {"return_token_ids": True}),
        (odd(prompt_logprobs="none"), {"prompt_logprobs": 1}),
        (
            odd_message(tool_calls=[{"function": "f"}]),
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
        ),
        (odd_message(tool_calls="none"), {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ],
)
def test_what_was_asked_for_has_to_be_readable(body: dict[str, Any], sampling: dict[str, Any]) -> None:
    """An answer that lacks it is none, and asking again would give the same; the rest of it is kept."""
    with pytest.raises(IncompleteResponseError) as raised:
        ask(Reply(body), chat_request(**sampling))

    assert isinstance(raised.value.response, Response)
    assert raised.value.response.text == "42"


@pytest.mark.parametrize(
    "choice",
    [
        {"logprobs": []},
        {"logprobs": {"tokens": None, "token_logprobs": []}},
        {"logprobs": {"tokens": ["4"], "top_logprobs": 7}},
        {"index": "0", "token_ids": "none"},
        {"finish_reason": ""},
    ],
)
def test_raw_completion_is_read_as_leniently(choice: dict[str, Any]) -> None:
    """Its text is what was paid for."""
    body = {"choices": [{"index": 0, "text": "42", "finish_reason": "stop", **choice}], "usage": []}

    response, _ = ask(Reply(body), text_request())

    assert response.text == "42"
    assert response.choices[0].finish_reason in {"stop", None}


@pytest.mark.parametrize("reply", [Reply(b""), Reply(b" \r\n"), Reply(b"", 204)])
def test_response_without_a_body_is_malformed(reply: Reply) -> None:
    """And the message says what is missing."""
    with pytest.raises(MalformedResponseError, match="empty"):
        ask(reply)
