"""What engines report beside the text is kept, and what they don't report takes no room."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from runner.engines.lenient import Reading
from runner.engines.openai_wire import read_chat
from runner.values import Choice, Response, Timing, TokenLogprob, decode_response, encode_response
from tests.engines.answer_kit import ask, event_stream, piece
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply

MESSAGE = {"role": "assistant", "content": "42"}


def chat(**further: Any) -> Reply:
    return Reply({"choices": [{"message": MESSAGE, "finish_reason": "stop", **further}]})


def text(**further: Any) -> Reply:
    return Reply({"choices": [{"text": "42", "finish_reason": "stop", **further}]})


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("stop_reason", "\n"),
        ("stop_reason", ""),
        ("stop_reason", 7),
        ("stop_reason", 0),
        ("matched_stop", "a"),
    ],
)
def test_stop_reason_is_kept(field: str, reason: int | str) -> None:
    """By vLLM's name for it, and by SGLang's; whole and streamed, of chats and of raw prompts."""
    told = {field: reason}

    answers = [
        ask(chat(**told)),
        ask(text(**told), text_request()),
        ask(event_stream(piece(None, content="42"), _ended(told)), stream=True),
    ]

    for response, noted in answers:
        assert (response.text, response.choices[0].stop_reason, noted) == ("42", reason, [])
        assert decode_response(encode_response(response)) == response


def _ended(told: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", **told}]}


def test_models_own_end_is_no_stop_reason() -> None:
    """SGLang reports its token; that is one where the request has it among its own."""

    def read(**sampling: Any) -> int | str | None:
        body = json.dumps(chat(matched_stop=2).body).encode()
        return read_chat(body, "sglang", Timing(), Reading(sampling)).choices[0].stop_reason

    assert read() is None
    assert read(stop_token_ids=[5]) is None
    assert read(stop_token_ids=[5, 2]) == 2


@pytest.mark.parametrize("odd", [None, True, 1.5, ["\n"], {"a": 1}])
def test_stop_reason_of_another_form_is_none(odd: Any) -> None:
    """Nobody requested it."""
    response, noted = ask(chat(stop_reason=odd, matched_stop=odd))

    assert (response.choices, noted) == ((Choice("42", "stop"),), [])


def test_tokens_of_log_probabilities_have_ids_and_ranks_where_reported() -> None:
    """In the field itself, or in the list of the answer's tokens beside it, as vLLM has them."""
    tokens = [{"token": "4", "logprob": -1, "rank": 3, "token_id": 9}, {"token": "2", "logprob": -2}]
    own, _ = ask(chat(logprobs={"content": tokens}), chat_request(logprobs=True))
    listed, _ = ask(
        chat(logprobs={"content": tokens}, token_ids=[8, 7]),
        chat_request(logprobs=True, return_token_ids=True),
    )
    raw, _ = ask(
        text(logprobs={"tokens": ["4", "2"], "token_logprobs": [-1, -2]}, token_ids=[8, 7]),
        text_request(logprobs=True, return_token_ids=True),
    )

    assert own.choices[0].logprobs == (TokenLogprob("4", -1, 9, rank=3), TokenLogprob("2", -2))
    assert listed.choices[0].logprobs == (TokenLogprob("4", -1, 9, rank=3), TokenLogprob("2", -2, 7))
    assert raw.choices[0].logprobs == (TokenLogprob("4", -1, 8), TokenLogprob("2", -2, 7))


def test_ids_of_other_tokens_are_not_guessed() -> None:
    """Where the lists differ in length, none of them is known."""
    response, _ = ask(
        chat(logprobs={"content": [{"token": "42", "logprob": -1}]}, token_ids=[8, 7]),
        chat_request(logprobs=True, return_token_ids=True),
    )

    assert response.choices[0].logprobs == (TokenLogprob("42", -1),)


def test_prompts_tokens_have_ranks() -> None:
    """As vLLM reports them."""
    ranked = {"5": {"logprob": -3, "rank": 12, "decoded_token": "b"}}
    reply = text(prompt_logprobs=[None, ranked], prompt_token_ids=[4, 5])
    response, _ = ask(reply, text_request(prompt_logprobs=0))

    assert response.prompt_logprobs == (None, TokenLogprob("b", -3, 5, (("b", -3),), 12))


def test_what_is_not_reported_takes_no_room() -> None:
    """And what was stored before is read as it was."""
    tokens = (TokenLogprob("a", -1.0, 5),)
    stored = encode_response(Response((Choice("a", "stop", logprobs=tokens),), engine="vllm"))

    assert b"rank" not in stored
    assert b"stop_reason" not in stored
    assert msgspec.json.decode(stored)["choices"] == [
        {"text": "a", "finish_reason": "stop", "logprobs": [{"token": "a", "logprob": -1.0, "token_id": 5}]}
    ]
