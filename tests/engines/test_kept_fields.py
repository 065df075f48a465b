"""What an engine reports beside its answer is kept where it was asked for, and only there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runner.engines.lenient import Reading
from runner.engines.openai_wire import read_chat
from runner.values import Choice, Response, Timing, TokenLogprob, decode_response, encode_response
from tests.engines.answer_kit import ask, event_stream
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply, chat

LOGPROBS = {
    "content": [{"token": "a", "logprob": -0.5, "rank": 1}, {"token": "b", "logprob": -1.5, "rank": 3}]
}


def choice(fields: dict[str, Any], *, stream: bool = False, **sampling: Any) -> Choice:
    body = chat("ab", **fields)
    if stream:
        (one,) = body["choices"]
        one["delta"] = one.pop("message")
    reply = event_stream(body) if stream else Reply(body)
    (found,) = ask(reply, chat_request(**sampling), stream=stream)[0].choices
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
@pytest.mark.parametrize("reason", ["###", 0, 128009])
def test_what_ended_an_answer_is_kept_where_a_stop_was_named(field: str, reason: Any, stream: bool) -> None:
    """As vLLM and SGLang call it."""
    assert choice({field: reason}, stream=stream, stop=["###"]).stop_reason == reason


def test_token_that_ended_an_answer_is_kept_where_it_was_named() -> None:
    """By its id, with vLLM's and SGLang's own parameter."""
    reading = Reading({"stop_token_ids": [13]})
    body = msgspec.json.encode(chat("ab", stop_reason=13))

    assert read_chat(body, "vllm", Timing(), reading).choices == (Choice("ab", "stop", stop_reason=13),)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
def test_end_token_is_not_kept_in_rows_that_named_no_stop(field: str, stream: bool) -> None:
    """SGLang reports it with every answer: stored rows don't grow."""
    assert choice({field: 2}, stream=stream) == Choice("ab", "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_rank_and_id_of_a_token_are_kept(stream: bool) -> None:
    """VLLM lists the ids beside the log probabilities."""
    found = choice(
        {"logprobs": LOGPROBS, "token_ids": [5, 7]}, stream=stream, logprobs=True, return_token_ids=True
    )

    assert [(token.token_id, token.rank) for token in found.logprobs or ()] == [(5, 1), (7, 3)]


def test_completion_keeps_them_too() -> None:
    """Its log probabilities are lists side by side."""
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1.5]}
    one = {"index": 0, "text": "ab", "finish_reason": "stop", "stop_reason": "x"}
    body = {"choices": [{**one, "logprobs": logprobs, "token_ids": [5, 7]}]}
    asked = text_request(logprobs=True, return_token_ids=True, stop=["x"])

    (found,) = ask(Reply(body), asked)[0].choices

    assert found.stop_reason == "x"
    assert [token.token_id for token in found.logprobs or ()] == [5, 7]


def test_rank_of_a_prompts_token_is_kept() -> None:
    """VLLM reports it with prompt_logprobs."""
    told = {"5": {"logprob": -2.0, "rank": 4, "decoded_token": "a"}}
    body = {**chat("x"), "prompt_logprobs": [None, told], "prompt_token_ids": [1, 5]}

    _, token = ask(Reply(body), chat_request(prompt_logprobs=1))[0].prompt_logprobs or ()

    assert token is not None
    assert (token.token_id, token.rank) == (5, 4)


def test_responses_of_earlier_versions_are_read_and_rewritten_as_they_were() -> None:
    """Fields that an engine didn't report take no room."""
    old = b'{"choices":[{"text":"a","finish_reason":"stop","logprobs":[{"token":"a","logprob":-0.5}]}]}'
    response = decode_response(old)

    assert response == Response((Choice("a", "stop", logprobs=(TokenLogprob("a", -0.5),)),))
    assert msgspec.json.decode(encode_response(response)) == msgspec.json.decode(old)
