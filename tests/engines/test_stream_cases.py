"""Streams as servers were seen to send them: an answer is whole, or it is the server's error."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    EngineError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from tests.engines.answer_kit import CASES, ask, event_stream, piece, texts
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply

STREAMS = CASES / "streams"
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("get_weather", "get_time")]
PARIS, ROME = '{"city":"Paris"}', '{"city":"Rome"}'


def case(name: str) -> Reply:
    """Return a stored stream as a reply."""
    return Reply((STREAMS / f"{name}.txt").read_bytes(), 200, {"Content-Type": "text/event-stream"})


def failure(reply: Reply) -> AskError:
    """Return the error that an answer in pieces and a text that streams both raise."""
    with pytest.raises(AskError) as put_together:
        ask(reply, stream=True)
    with pytest.raises(AskError) as streamed:
        texts(reply)
    assert (type(streamed.value), streamed.value.message) == (
        type(put_together.value),
        put_together.value.message,
    )
    return put_together.value


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("error-event", ServerError, "upstream died"),
        ("error-field", ServerError, "context shift is disabled"),
        ("error-object", ServerError, "CUDA out of memory"),
        ("error-message", ContextLengthError, "maximum context length is 4096 tokens"),
    ],
)
def test_error_in_a_stored_stream_is_the_servers_own(name: str, kind: type[AskError], message: str) -> None:
    """Though [DONE] follows it."""
    error = failure(case(name))

    assert (type(error), error.message) == (kind, message)


@pytest.mark.parametrize("name", ["keepalive", "multiline", "parts-after-text", "extra-events"])
def test_stored_stream_is_the_answer(name: str) -> None:
    """What is no part of it does no harm."""
    response, _ = ask(case(name), stream=True)

    assert (response.text, response.choices[0].finish_reason) == ("42", "stop")
    assert "".join(texts(case(name))) == "42"


def test_unknown_events_are_noted_once() -> None:
    """An answer that is whole without them is one."""
    _, noted = ask(case("extra-events"), stream=True)

    (note,) = noted
    assert '{"type":"ping"}' in note


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("tools-same-index", [("call_1", PARIS), ("call_2", '{"tz":"UTC"}')]),
        ("tools-no-index", [("call_1", PARIS), ("call_2", ROME)]),
        ("tools-repeated", [("call_1", PARIS)]),
    ],
)
def test_stored_stream_has_its_calls(name: str, calls: list[tuple[str, str]]) -> None:
    """Each with its own arguments, once."""
    response, _ = ask(case(name), chat_request(tools=TOOLS), stream=True)

    found = [(call["id"], call["function"]["arguments"]) for call in response.choices[0].tool_calls]
    assert found == calls


SAID = piece(role="assistant", content="4")
"""The beginning of an answer that doesn't end."""


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ("event: error\ndata: upstream died", ServerError, "upstream died"),
        ("data: upstream died\nevent: error", ServerError, "upstream died"),
        ("event: error\ndata:", ServerError, "without a reason"),
        ('event: error\ndata: {"code":429,"message":"slow down"}', RateLimitError, "slow down"),
        ("error: out of slots", ServerError, "out of slots"),
        ({"error": "model crashed"}, ServerError, "model crashed"),
        ({"error": {"message": "busy", "type": "overloaded_error"}}, ServerError, "busy"),
        ({"error": {"message": "bad key", "code": "invalid_api_key"}}, AuthenticationError, "bad key"),
        ({"error": "inputs too many", "error_type": "validation"}, BadRequestError, "inputs too many"),
        ({"error_code": 336501, "error_msg": "Rate limit reached"}, RateLimitError, "Rate limit"),
        ({"object": "error", "message": "no", "code": 503}, ServerError, "no"),
        ({"detail": "Worker died"}, ServerError, "Worker died"),
        (
            {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
            RateLimitError,
            "rate",
        ),
        (
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            EngineError,
            "insufficient",
        ),
        (
            {"choices": [], "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            EngineError,
            "insufficient",
        ),
        (
            {"choices": None, "base_resp": {"status_code": 0, "status_msg": "success"}},
            ServerError,
            "without a finish reason",
        ),
        ({"code": "Throttling.RateQuota", "message": "Too fast"}, RateLimitError, "Too fast"),
        ({"code": "InvalidParameter", "message": "top_k is odd"}, BadRequestError, "top_k is odd"),
        ("data: <html>Bad gateway</html>", MalformedResponseError, "Bad gateway"),
        ({**SAID, "error": {"code": 502, "message": "no upstream"}}, ServerError, "no upstream"),
        (piece("error"), ServerError, "finish reason is error"),
        (piece(""), ServerError, "without a finish reason"),
        ({"type": "ping"}, ServerError, "without a finish reason"),
    ],
)
def test_answer_that_does_not_end_is_the_error_that_came(
    event: Any, kind: type[AskError], message: str
) -> None:
    """Half an answer is none, though the server says that it is done."""
    error = failure(event_stream(SAID, event))

    assert type(error) is kind
    assert message in error.message


@pytest.mark.parametrize("event", ["event: error\ndata: late", "error: late", {"error": "late"}])
def test_error_after_the_last_word_is_one(event: Any) -> None:
    """What the server calls an error is no answer, wherever it stands."""
    assert failure(event_stream(piece("stop", content="42"), event)).message == "late"


@pytest.mark.parametrize(
    "extra",
    [
        {"type": "ping"},
        {"detail": "for your information"},
        {"sources": [{"url": "http://example.org"}]},
        {"choices": None, "base_resp": {"status_code": 0, "status_msg": "success"}},
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        {"choices": [], "usage": None, "error": None},
        {"error_code": 0, "error_msg": "Success"},
        {"error": {"code": 0, "message": ""}},
        {"error_code": 0, "error_msg": "", "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        "event: ping\ndata: {}",
        "data: bye",
        "data: 7",
        'data: ["x"]',
        ": OPENROUTER PROCESSING",
        "id: 7\nretry: 1000",
        "data",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_event_beside_a_whole_answer_does_no_harm(extra: Any, first: bool) -> None:
    """Wherever it comes."""
    said = [piece(role="assistant", content=None), piece(content="42"), piece("stop")]
    reply = event_stream(*([extra, *said] if first else [*said, extra]))

    assert ask(reply, stream=True)[0].text == "42"
    assert texts(reply) == ["42"]


@pytest.mark.parametrize(
    "broken", [b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', b'data: {"choices":[{"delta"\n\n']
)
def test_event_that_may_be_a_part_of_the_answer_is_never_skipped(broken: bytes) -> None:
    """Though the answer seems whole without it."""
    whole = event_stream(piece("stop", content="42")).body

    assert type(failure(Reply(broken + whole))) is MalformedResponseError


@pytest.mark.parametrize(
    "odd", ['"x":NaN', '"logprobs":{"content":[{"token":"4","logprob":-Infinity}]}', '"x":[Infinity]']
)
def test_piece_with_a_number_that_is_not_json_is_a_part_of_the_answer(odd: str) -> None:
    """Python's encoder writes NaN and Infinity, and so do servers."""
    first = f'data: {{"choices":[{{"index":0,"delta":{{"content":"4"}},{odd}}}]}}'
    reply = event_stream(first, piece("stop", content="2"))

    assert ask(reply, stream=True)[0].text == "42"
    assert "".join(texts(reply)) == "42"


@pytest.mark.parametrize("event", ['data: {"error":"late","x":NaN}', 'data: \ufeff{"error":"late"}'])
def test_error_with_what_is_not_json_is_one(event: str) -> None:
    """It is no unknown event."""
    assert failure(event_stream(SAID, event, piece("stop"))).message == "late"


def test_error_behind_many_unknown_events_is_found() -> None:
    """A server may send a sign of life each second."""
    pings = [{"type": "ping", "number": number} for number in range(200)]

    assert failure(event_stream(SAID, *pings, {"detail": "Worker died"})).message == "Worker died"


@pytest.mark.parametrize("delta", [[], "", False])
def test_empty_delta_of_another_type_adds_nothing(delta: Any) -> None:
    """PHP writes an empty map as a list."""
    ended = {"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}

    assert ask(event_stream(piece(content="42"), ended), stream=True)[0].text == "42"


def test_empty_usage_does_not_replace_the_counts() -> None:
    """It says nothing."""
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    reply = event_stream(piece("stop", content="42"), usage, {"choices": [], "usage": {}})

    assert ask(reply, stream=True)[0].usage.prompt_tokens == 3


@pytest.mark.parametrize("event", [{"message": {"role": "assistant", "content": "4"}, "done": False}])
def test_answer_of_another_api_is_malformed(event: Any) -> None:
    """What a model said is no message of an error."""
    assert type(failure(event_stream(event))) is MalformedResponseError


def test_choice_that_has_not_ended_makes_half_an_answer() -> None:
    """Though the other has."""
    one, other = piece("stop", content="42"), {"choices": [{"index": 1, "delta": {"content": "4"}}]}

    with pytest.raises(ServerError, match="without a finish reason"):
        ask(event_stream(one, other), chat_request(n=2), stream=True)


def test_nothing_behind_done_is_read() -> None:
    """A connection that is reused may hold anything."""
    body = event_stream(piece("stop", content="42")).body + b'data: {"error": "late"}\n\n'

    assert ask(Reply(body), stream=True)[0].text == "42"


def test_answer_without_done_that_says_why_it_ended_is_whole() -> None:
    """And so is one whose usage comes behind its finish reason."""
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    body = event_stream(piece(content="42"), piece("stop"), usage).body.removesuffix(b"data: [DONE]\n\n")

    response, _ = ask(Reply(body), stream=True)

    assert (response.text, response.usage.completion_tokens) == ("42", 2)
    with pytest.raises(ConnectionFailedError):
        ask(Reply(event_stream(SAID).body.removesuffix(b"data: [DONE]\n\n")), stream=True)


@pytest.mark.parametrize(
    "pieces",
    [
        [{"content": "4"}, {"content": "2"}],
        [{"content": ["4"]}, {"content": [{"type": "text", "text": "2"}]}],
        [{"content": [{"type": "text", "text": "4"}]}, {"content": "2"}],
        [{"content": {"type": "text", "text": "42"}}],
        [{"content": "42", "annotations": []}, {"content": None, "annotations": {"odd": 1}, "audio": "x"}],
        [{"role": "assistant", "content": "42"}, {"role": "assistant"}],
        [{"refusal": False, "content": "42"}, {"refusal": None}],
        [{"reasoning": {"content": "hm"}, "content": "42"}],
    ],
)
def test_content_comes_in_any_form(pieces: list[dict[str, Any]]) -> None:
    """As text, as parts, or as one after the other; what else a delta holds does no harm."""
    reply = event_stream(*(piece(**delta) for delta in pieces), piece("stop"))

    assert ask(reply, stream=True)[0].text == "42"
    assert "".join(texts(reply)) == "42"


@pytest.mark.parametrize("index", [{"index": "0"}, {"index": 0.0}, {"index": None}, {}])
def test_index_may_be_text_or_missing(index: dict[str, Any]) -> None:
    """There is one choice."""
    said, ended = (
        {"choices": [{**index, "delta": {"content": "42"}, "finish_reason": f}]} for f in (None, "stop")
    )
    ended["choices"][0]["delta"] = {}

    assert ask(event_stream(said, ended), stream=True)[0].text == "42"


def test_message_that_comes_again_at_the_end_is_not_said_twice() -> None:
    """MiniMax repeats it whole; a server that doesn't stream sends nothing else."""
    whole = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}]
    }

    for reply in (event_stream(piece(content="4"), piece(content="2"), whole), event_stream(whole)):
        assert ask(reply, stream=True)[0].text == "42"
        assert "".join(texts(reply)) == "42"


def test_refusal_streams_where_nothing_else_is_said() -> None:
    """It is the text of the answer in one piece."""
    reply = event_stream(piece(refusal="I can"), piece(refusal="not."), piece("stop"))

    response, _ = ask(reply, stream=True)

    assert (response.text, response.choices[0].finish_reason) == ("I cannot.", "content_filter")
    assert "".join(texts(reply)) == "I cannot."


@pytest.mark.parametrize("logprobs", [[], {}, "none", 7, [1], {"content": "x"}, {"content": [{"token": 1}]}])
def test_logprobs_that_nobody_asked_for_do_no_harm(logprobs: Any) -> None:
    """Whatever their form, and if it changes."""
    first, second = piece(content="4"), piece("stop", content="2")
    first["choices"][0]["logprobs"] = logprobs
    second["choices"][0]["logprobs"] = {"content": [{"token": "2", "logprob": -0.5}]}

    assert ask(event_stream(first, second), stream=True)[0].text == "42"


def test_raw_completion_that_does_not_end_is_no_answer() -> None:
    """Completions stream as chats do."""
    said = {"choices": [{"index": 0, "text": "4", "finish_reason": None}]}

    with pytest.raises(ServerError, match="late"):
        ask(event_stream(said, {"detail": "late"}), text_request(), stream=True)
    ended = {"choices": [{"index": 0, "text": "2", "finish_reason": "stop"}]}
    assert ask(event_stream(said, ended, {"detail": "late"}), text_request(), stream=True)[0].text == "42"
