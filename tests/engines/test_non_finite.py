"""NaN and infinity from a server are errors of the row, in every field and every spelling, never numbers."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import pytest

from runner.engines.base import EngineContext
from runner.engines.lenient import Reading
from runner.engines.loglikelihood import summed
from runner.engines.notes import Notes
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.engines.sglang_loglikelihood import LOGLIKELIHOOD
from runner.engines.task_wire import OPENAI_WIRES, SGLANG_WIRES, VLLM_WIRES, Wire
from runner.errors import IncompleteResponseError, MalformedResponseError
from runner.spec import Model
from runner.values import Request, Response, TokenLogprob
from tests.engines.answer_kit import ask
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply, serving

ODD = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"null", b'"NaN"']
SCOPE = chat_request().scope
EMBED = Request("embed", "Hi", {}, SCOPE)
PAIR = Request("score", {"pair": ["a", "b"]}, {}, SCOPE)
RERANK = Request("rerank", {"query": "q", "documents": ["a"]}, {}, SCOPE)
CLASSIFY = Request("classify", "Hi", {}, SCOPE)
REWARD = Request("reward", "Hi", {}, SCOPE)
LIKELIHOOD = Request("loglikelihood", {"context": "a", "continuations": ["b"]}, {}, SCOPE)
VALUES: list[tuple[Wire, Request, bytes]] = [
    (OPENAI_WIRES["embed"], EMBED, b'{"data":[{"index":0,"embedding":[0.5,%b]}]}'),
    (OPENAI_WIRES["score"], PAIR, b'{"data":[{"score":%b}]}'),
    (OPENAI_WIRES["rerank"], RERANK, b'{"results":[{"index":0,"relevance_score":%b}]}'),
    (VLLM_WIRES["classify"], CLASSIFY, b'{"data":[{"label":"A","probs":[0.5,%b]}]}'),
    (VLLM_WIRES["reward"], REWARD, b'{"data":[{"data":[[%b]]}]}'),
    (SGLANG_WIRES["rerank"], RERANK, b'[{"index":0,"score":%b}]'),
    (SGLANG_WIRES["reward"], REWARD, b'{"embedding":[%b]}'),
    (
        LOGLIKELIHOOD,
        LIKELIHOOD,
        (
            b'[{"meta_info":{"input_token_logprobs":[[null,1,"a"]]}},'
            b'{"meta_info":{"input_token_logprobs":[[null,1,"a"],[%b,2,"b"]]}}]'
        ),
    ),
]


def chat_body(logprob: bytes, other: bytes) -> bytes:
    top = b'[{"token":"x","logprob":-0.1},{"token":"y","logprob":%b}]' % other
    token = b'{"token":"x","logprob":%b,"top_logprobs":%b}' % (logprob, top)
    return (
        b'{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"x"},'
        b'"logprobs":{"content":[%b]}}]}' % token
    )


def listed_body(logprob: bytes, field: bytes) -> bytes:
    return (
        b'{"choices":[{"index":0,"finish_reason":"stop",%b,'
        b'"logprobs":{"tokens":["a","b"],"token_logprobs":[-0.5,%b]}}]}' % (field, logprob)
    )


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("body", [b"token", b"other", b"listed", b"text"])
def test_log_probability_that_is_no_number_is_an_error_where_it_was_asked_for(
    body: bytes, odd: bytes
) -> None:
    """Of the token, of an alternative, in lists side by side; it is dropped where nobody asked."""
    bodies = {
        b"token": chat_body(odd, b"-2"),
        b"other": chat_body(b"-0.1", odd),
        b"listed": listed_body(odd, b'"message":{"content":"ab"}'),
        b"text": listed_body(odd, b'"text":"ab"'),
    }
    wanted = {"logprobs": True, "top_logprobs": 2} if body in {b"token", b"other"} else {"logprobs": True}
    make: Any = text_request if body == b"text" else chat_request
    if body == b"other" and odd in {b"-Infinity", b"-1e999"}:
        ((token,),) = [c.logprobs or () for c in ask(Reply(bodies[body]), make(**wanted))[0].choices]
        assert token.top == (("x", -0.1),)
        return

    with pytest.raises(IncompleteResponseError):
        ask(Reply(bodies[body]), make(**wanted))
    answer = ask(Reply(bodies[body]), make())[0].choices[0]
    assert answer.text
    assert body == b"other" or answer.logprobs is None


@pytest.mark.parametrize("odd", [b"NaN", b"Infinity", b"-Infinity", b"null"])
def test_stream_with_a_log_probability_that_is_no_number_is_one_too(odd: bytes) -> None:
    """As the same answer in one piece is."""
    chunk = (
        b'data: {"choices":[{"index":0,"finish_reason":"stop","delta":{"content":"x"},'
        b'"logprobs":{"content":[{"token":"x","logprob":%b}]}}]}\n\ndata: [DONE]\n\n' % odd
    )

    with pytest.raises(IncompleteResponseError):
        ask(Reply(chunk), chat_request(logprobs=True), stream=True)
    assert ask(Reply(chunk), chat_request(), stream=True)[0].text == "x"


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("wire", "request_", "body"), VALUES)
def test_value_that_is_no_number_is_an_error(wire: Wire, request_: Request, body: bytes, odd: bytes) -> None:
    """Of each task that is answered with numbers."""
    with pytest.raises((IncompleteResponseError, MalformedResponseError)):
        wire.read(body % odd, [request_], Reading())
    assert wire.read(body % b"0.25", [request_], Reading())


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_base64_vector_with_no_number_is_an_error(odd: float) -> None:
    """A model in float16 overflows in silence; JSON would not hold it, base64 does."""
    vector = base64.b64encode(struct.pack("<3f", 0.5, odd, -1.0))

    with pytest.raises(IncompleteResponseError, match=r"NaN|Infinity"):
        OPENAI_WIRES["embed"].read(b'{"data":[{"index":0,"embedding":"%b"}]}' % vector, [EMBED], Reading())


def test_large_numbers_are_numbers() -> None:
    """The largest of float32 add up to no infinity."""
    vector = struct.pack("<4f", *[3.4e38] * 4)
    body = b'{"data":[{"index":0,"embedding":"%b"}]}' % base64.b64encode(vector)

    assert OPENAI_WIRES["embed"].read(body, [EMBED], Reading())[0].embeddings == (vector,)


@pytest.mark.parametrize("odd", [float("nan"), float("-inf")])
def test_loglikelihood_that_is_no_number_is_an_error(odd: float) -> None:
    """Whichever engine gave the tokens."""
    tokens = [None, TokenLogprob("a", -0.5, 1), TokenLogprob("b", odd, 2)]

    with pytest.raises(IncompleteResponseError, match="NaN or infinity"):
        summed(tokens, 1)


def test_echoed_prompt_begins_without_a_log_probability() -> None:
    """Its first token has none: that is no fault."""
    body = (
        b'{"choices":[{"index":0,"finish_reason":"stop","text":"ab",'
        b'"logprobs":{"tokens":["a","b"],"token_logprobs":[null,-0.5]}}]}'
    )

    response, _ = ask(Reply(body), text_request(logprobs=True, passthrough={"echo": True}))

    assert [token.logprob for token in response.choices[0].logprobs or ()] == [0.0, -0.5]


@pytest.mark.parametrize(("odd", "is_error"), [("NaN", True), ("Infinity", True), ("-Infinity", False)])
def test_alternative_to_a_prompts_token(odd: str, is_error: bool) -> None:
    """One that can't come is left out, as it is beside the tokens of an answer."""
    told = '{"5":{"logprob":-1,"rank":1,"decoded_token":"x"},"6":{"logprob":%s,"rank":2,"decoded_token":"y"}}'
    choice = '{"index":0,"finish_reason":"stop","message":{"content":"x"}}'
    reply = Reply(f'{{"choices":[{choice}],"prompt_logprobs":[null,{told % odd}]}}'.encode())
    asked = chat_request(prompt_logprobs=1)

    if is_error:
        with pytest.raises(IncompleteResponseError):
            ask(reply, asked)
        return
    assert ask(reply, asked)[0].prompt_logprobs == (None, TokenLogprob("x", -1.0, 5, (("x", -1.0),), 1))


@pytest.mark.parametrize("lists", [(["a", "b"], [-0.5]), (["a"], [-0.5, -1.5])])
@pytest.mark.parametrize("form", ["text", "message"])
def test_lists_side_by_side_of_different_lengths(form: str, lists: tuple[list[str], list[float]]) -> None:
    """Which number is of which token is unknown: they are left out where nobody asked for them."""
    tokens, logprobs = lists
    content: Any = "ab" if form == "text" else {"content": "ab"}
    listed = {"tokens": tokens, "token_logprobs": logprobs}
    reply = Reply({"choices": [{"index": 0, "finish_reason": "stop", form: content, "logprobs": listed}]})
    make: Any = text_request if form == "text" else chat_request

    with pytest.raises(IncompleteResponseError, match="the answer has"):
        ask(reply, make(logprobs=True))
    assert ask(reply, make())[0].choices[0].logprobs is None


def test_token_without_alternatives_is_kept() -> None:
    """A list of alternatives that is too short takes no token away."""
    listed = {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1.5], "top_logprobs": [{"a": -0.5}]}
    reply = Reply({"choices": [{"index": 0, "finish_reason": "stop", "text": "ab", "logprobs": listed}]})

    (found,) = ask(reply, text_request(logprobs=True))[0].choices

    assert [(token.token, token.logprob) for token in found.logprobs or ()] == [("a", -0.5), ("b", -1.5)]


def test_field_that_is_an_error_is_not_noted_as_ignored() -> None:
    """What is kept of such an answer is read without it."""

    async def go() -> list[str]:
        noted: list[str] = []
        async with serving(Reply(chat_body(b"NaN", b"-2"))) as server:
            context = EngineContext(notes=Notes(noted.append))
            settings = OpenAICompatible(base_url=server.url)
            async with KIND.create(settings, Model(name="m"), context) as engine:
                with pytest.raises(IncompleteResponseError) as caught:
                    await engine.generate(chat_request(logprobs=True))
        assert isinstance(caught.value.response, Response)
        return noted

    assert asyncio.run(go()) == []
