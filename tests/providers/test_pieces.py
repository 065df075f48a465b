"""engine.stream: an answer that comes in pieces is as whole as one that comes at once, and has its times."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from runner.errors import (
    AskError,
    AuthenticationError,
    ConnectionFailedError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from runner.values import Response, Timing
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import Reply
from tests.providers.native import (
    KINDS,
    TOOL,
    anthropic_message,
    google_answer,
    mistral_completion,
    refusing,
)
from tests.providers.pieces import chunk, delta, saying_in_pieces, stream_of
from tests.providers.wire import KEY, KEYS, answer, events, exchange, failure


def timeless(response: Response) -> Response:
    """Return a response without its times."""
    return msgspec.structs.replace(response, timing=Timing())


@pytest.mark.parametrize("kind", KEYS)
def test_times_are_those_of_the_pieces(kind: str) -> None:
    """The first comes before the last; the mean between them is known."""
    response, sent = exchange(kind, chat_request(), saying_in_pieces(kind, "a", "b", "c"), stream=True)

    timing = response.timing
    assert (response.text, response.choices[0].finish_reason) == ("abc", "stop")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (10, 20)
    assert timing.first_token is not None
    assert timing.inter_token is not None
    assert 0 < timing.first_token <= timing.first_token + 2 * timing.inter_token <= timing.seconds
    assert sent.body.get("stream") is True or "streamGenerateContent" in sent.path


@pytest.mark.parametrize("kind", KEYS)
def test_answer_that_comes_at_once_has_no_times_of_pieces(kind: str) -> None:
    """Nothing is made up of one piece: there is no time between it and another."""
    response, _ = exchange(kind, chat_request(), saying_in_pieces(kind, "abc"), stream=True)

    assert response.timing.first_token is not None
    assert response.timing.inter_token is None


def block(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    """Return the event that begins a block of Anthropic's."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def test_anthropics_pieces_are_its_whole() -> None:
    """Thoughts, text, two calls of tools and the tokens of both reports."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 25,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 2,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    whole = anthropic_message(
        {"type": "thinking", "thinking": "One and two.", "signature": "s"},
        {"type": "text", "text": "Let me add."},
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1, "b": [2]}},
        {"type": "tool_use", "id": "c2", "name": "add", "input": {}},
        stop_reason="tool_use",
        usage=usage,
    )
    begun = {**usage, "output_tokens": 1, "output_tokens_details": None}
    reply = stream_of(
        {"type": "message_start", "message": anthropic_message(stop_reason=None, usage=begun)},
        block(0, "thinking", thinking="", signature=""),
        delta(type="thinking_delta", thinking="One and "),
        delta(type="thinking_delta", thinking="two."),
        delta(type="signature_delta", signature="s"),
        {"type": "content_block_stop", "index": 0},
        {"type": "ping"},
        block(1, "text", text=""),
        {**delta(type="text_delta", text="Let me "), "index": 1},
        {**delta(type="text_delta", text="add."), "index": 1},
        block(2, "tool_use", id="c1", name="add", input={}),
        {**delta(type="input_json_delta", partial_json=""), "index": 2},
        {**delta(type="input_json_delta", partial_json='{"a": 1, "b"'), "index": 2},
        {**delta(type="input_json_delta", partial_json=": [2]}"), "index": 2},
        block(3, "tool_use", id="c2", name="add", input={}),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 25, "output_tokens_details": {"thinking_tokens": 5}},
        },
        {"type": "message_stop"},
    )

    at_once, _ = exchange("anthropic", chat_request(tools=[TOOL]), whole)
    in_pieces, _ = exchange("anthropic", chat_request(tools=[TOOL]), reply, stream=True)

    assert timeless(in_pieces) == timeless(at_once)
    assert len(in_pieces.choices[0].tool_calls) == 2


def test_call_that_was_cut_off_is_none() -> None:
    """What max_tokens ends in the midst of its arguments is no call, whether it came in pieces or whole."""
    reply = stream_of(
        {"type": "message_start", "message": anthropic_message(stop_reason=None)},
        block(0, "tool_use", id="c1", name="add", input={}),
        delta(type="input_json_delta", partial_json='{"a": '),
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    )

    cut = {"type": "tool_use", "id": "c1", "name": "add", "input": {}}
    whole = anthropic_message(content=[cut], stop_reason="max_tokens")

    (in_pieces,) = exchange("anthropic", chat_request(tools=[TOOL]), reply, stream=True)[0].choices
    (at_once,) = exchange("anthropic", chat_request(tools=[TOOL]), whole)[0].choices

    assert (in_pieces.finish_reason, in_pieces.tool_calls) == ("length", ())
    assert at_once == in_pieces


TOKENS = [
    {"token": text, "logprob": -0.5, "bytes": [], "token_id": id_} for text, id_ in (("4", 51), ("2", 49))
]


def test_mistrals_pieces_are_its_whole() -> None:
    """Thoughts, text, log probabilities, two choices and the tokens of the last event."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    text = {"type": "text", "text": "42"}
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    whole = mistral_completion([thought, text], logprobs={"content": TOKENS})
    other = {"index": 1, "message": {"role": "assistant", "content": "43"}, "finish_reason": "length"}
    other["logprobs"] = {"content": TOKENS}
    whole = {**whole, "choices": [*whole["choices"], other], "usage": usage}

    def piece(index: int, content: Any, finish: str | None = None, *tokens: Any) -> dict[str, Any]:
        event = chunk(content, finish)
        event["choices"][0] |= {"index": index, "logprobs": {"content": list(tokens)} if tokens else None}
        return event

    reply = events(
        piece(0, [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]),
        piece(1, "4", None, TOKENS[0]),
        piece(0, [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]),
        piece(0, [{"type": "text", "text": "4"}], None, TOKENS[0]),
        piece(0, "2", "stop", TOKENS[1]),
        {**piece(1, "3", "length", TOKENS[1]), "usage": usage},
    )
    request = chat_request(n=2, logprobs=True)

    at_once, _ = exchange("mistral", request, whole)
    in_pieces, _ = exchange("mistral", request, reply, stream=True)

    assert timeless(in_pieces) == timeless(at_once)


@pytest.mark.parametrize("indices", [(0, 1), (0, 0)])
def test_mistrals_calls_are_told_apart(indices: tuple[int, int]) -> None:
    """By their index, or by their id where all have the same; what comes later is added to the last."""
    calls = [
        {"id": "c1", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "c2", "function": {"name": "add", "arguments": '{"a":2}'}},
    ]
    whole = mistral_completion("", tool_calls=calls, finish_reason="tool_calls")
    first, second = ({**call, "index": index} for call, index in zip(calls, indices, strict=True))
    begun = {**second, "function": {"name": "add", "arguments": '{"a"'}}
    further = {"index": indices[1], "function": {"name": "", "arguments": ":2}"}}

    def piece(*told: Any, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": "", "tool_calls": list(told)}, "finish_reason": finish}
        return {**chunk(""), "choices": [choice]}

    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    reply = events(piece(first, begun), {**piece(further, finish="tool_calls"), "usage": usage})

    at_once, _ = exchange("mistral", chat_request(tools=[TOOL]), whole)
    in_pieces, _ = exchange("mistral", chat_request(tools=[TOOL]), reply, stream=True)

    assert timeless(in_pieces) == timeless(at_once)
    assert len(in_pieces.choices[0].tool_calls) == 2


def test_googles_pieces_are_its_whole() -> None:
    """Thoughts, text, a signed call, log probabilities, two candidates and the tokens of the last event."""
    signature = base64.b64encode(b"\xfb\xff\xfe thought").decode()
    call = {"functionCall": {"name": "add", "args": {"a": 1, "b": None}}, "thoughtSignature": signature}
    tokens = [{"token": text, "tokenId": 51, "logProbability": -0.5} for text in "42"]

    def logprobs(*chosen: dict[str, Any]) -> dict[str, Any]:
        tops = [{"candidates": [token]} for token in chosen]
        return {"logprobsResult": {"chosenCandidates": list(chosen), "topCandidates": tops}}

    hm = [{"text": "h", "thought": True}, {"text": "m", "thought": True}]
    whole = google_answer({"text": "hm", "thought": True}, {"text": "42"}, call, **logprobs(*tokens))
    other = {
        "index": 1,
        "content": {"parts": [{"text": "42"}]},
        "finishReason": "MAX_TOKENS",
        **logprobs(*tokens),
    }
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 20, "thoughtsTokenCount": 5}
    whole = {**whole, "candidates": [*whole["candidates"], other], "usageMetadata": usage}

    def piece(*parts: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
        return {
            **google_answer(*parts, finishReason=finish, **fields),
            "usageMetadata": {"promptTokenCount": 10},
        }

    reply = events(
        piece(hm[0]),
        piece({"text": "4"}, index=1, **logprobs(tokens[0])),
        piece(hm[1]),
        piece({"text": "4"}, **logprobs(tokens[0])),
        piece({"text": "2"}, finish="MAX_TOKENS", index=1, **logprobs(tokens[1])),
        piece({"text": "2"}, call, **logprobs(tokens[1])),
        {**piece(finish="STOP"), "usageMetadata": usage},
        done=False,
    )
    request = chat_request(n=2, logprobs=True, top_logprobs=1, tools=[TOOL])

    at_once, _ = exchange("google", request, whole)
    in_pieces, _ = exchange("google", request, reply, stream=True)

    assert timeless(in_pieces) == timeless(at_once)


def test_blocked_prompt_is_an_answer_in_pieces_too() -> None:
    """Its only event has no candidates."""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}

    response, _ = exchange("google", chat_request(n=2), events(blocked, done=False), stream=True)

    assert [choice.finish_reason for choice in response.choices] == ["content_filter"] * 2
    assert response.usage.prompt_tokens == 3


def unended(kind: str) -> Reply:
    """Return a stream that ends before the answer does."""
    if kind == "anthropic":
        started = {"type": "message_start", "message": anthropic_message(stop_reason=None)}
        return stream_of(started, block(0, "text", text=""), delta(type="text_delta", text="Hel"))
    piece = chunk("Hel") if kind == "mistral" else google_answer({"text": "Hel"}, finishReason=None)
    return events(piece, done=False)


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_answer_is_a_failed_connection(kind: str) -> None:
    """It never passes for a whole one."""
    assert type(failure(kind, unended(kind), stream=True)) is ConnectionFailedError


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (lambda kind: answer(refusing(kind, f"bad key {KEY}"), 401), AuthenticationError),
        (lambda kind: answer(refusing(kind, "slow"), 429, {"Retry-After": "2"}), RateLimitError),
        (lambda kind: answer(refusing(kind, "broken"), 500), ServerError),
        (lambda _: Reply(hang=True), RequestTimeoutError),
        (lambda kind: replace(saying_in_pieces(kind, "x" * 999), reset=True), ConnectionFailedError),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_faults_are_those_of_an_answer_at_once(kind: str, reply: Any, expected: type[AskError]) -> None:
    """Each has its class, and no key in it."""
    given = reply(kind)

    error = failure(kind, given, stream=True, timeout=0.5 if given.hang else 30.0)

    assert type(error) is expected
    assert KEY not in repr(error)


ODD = {
    "anthropic": stream_of({"type": "content_block_delta", "index": "x", "delta": {"text": KEY}}),
    "mistral": events({"id": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": 7}}]}),
    "google": events({"candidates": [{"content": KEY}]}, done=False),
}


@pytest.mark.parametrize(("kind", "reply"), ODD.items())
def test_event_that_no_api_documents_is_malformed(kind: str, reply: Reply) -> None:
    """It is asked again, as an answer of that kind is."""
    error = failure(kind, reply, stream=True)

    assert type(error) is MalformedResponseError
    assert KEY not in repr(error)


def test_blocks_of_one_index_are_all_kept() -> None:
    """Gateways were seen to number none."""
    reply = stream_of(
        {"type": "message_start", "message": anthropic_message(stop_reason=None)},
        block(0, "text", text=""),
        delta(type="text_delta", text="Let me add."),
        block(0, "tool_use", id="c1", name="add", input={}),
        delta(type="input_json_delta", partial_json='{"a": 1}'),
        block(0, "tool_use", id="c2", name="add", input={}),
        delta(type="input_json_delta", partial_json='{"a": 2}'),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 25}},
        {"type": "message_stop"},
    )

    response, _ = exchange("anthropic", chat_request(tools=[TOOL]), reply, stream=True)
    (choice,) = response.choices

    assert choice.text == "Let me add."
    assert [call["function"]["arguments"] for call in choice.tool_calls] == ['{"a":1}', '{"a":2}']
