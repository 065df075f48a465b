"""NaN and infinity are errors of the row that requested the number; elsewhere they do no harm."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
from typing import Any

import pytest

from runner.engines.base import EngineKind
from runner.engines.registry import engine_kinds
from runner.errors import AskError, IncompleteResponseError, MalformedResponseError
from runner.spec import Model
from runner.values import Request, Response, Scope
from tests.engines.answer_kit import ask, event_stream
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import Reply, serving

NONE = ["NaN", "Infinity", "1e999", "1E+400", "null"]
PAIR = {"pair": ["a", "b"]}
RANKED = {"query": "q", "documents": ["a", "b"]}
SPREAD = {"context": "a", "continuations": ["b"]}
VALUES: list[tuple[str, str, Any, str]] = [
    ("vllm", "embed", "a", '{"data":[{"embedding":[0.5,%s]}]}'),
    ("vllm", "score", PAIR, '{"data":[{"score":%s}]}'),
    (
        "vllm",
        "rerank",
        RANKED,
        '{"results":[{"index":0,"relevance_score":%s},{"index":1,"relevance_score":1}]}',
    ),
    ("vllm", "classify", "a", '{"data":[{"probs":[0.5,%s]}]}'),
    ("vllm", "reward", "a", '{"data":[{"data":[%s]}]}'),
    ("vllm", "reward", "a", '{"data":[{"data":[[0.5],[%s]]}]}'),
    ("vllm", "reward", "a", '{"data":[{"data":%s}]}'),
    ("sglang", "score", PAIR, '[{"index":0,"score":%s}]'),
    ("sglang", "rerank", RANKED, '[{"index":0,"score":1},{"index":1,"score":%s}]'),
    ("sglang", "reward", "a", '{"embedding":[%s]}'),
    ("sglang", "classify", "a", '{"data":[{"probs":[%s],"label":"x"}]}'),
]
CHATS = [
    '{"content":[{"token":"4","logprob":%s}]}',
    '{"content":[{"token":"4","logprob":-1,"top_logprobs":[{"token":"5","logprob":%s}]}]}',
    '{"tokens":["4"],"token_logprobs":[%s]}',
    '{"tokens":["4"],"token_logprobs":[-1],"top_logprobs":[{"5":%s}]}',
]
TEXTS = [
    '{"tokens":["4"],"token_logprobs":[%s]}',
    '{"tokens":["4","2"],"token_logprobs":[-1,%s],"top_logprobs":null}',
    '{"tokens":["4"],"token_logprobs":[-1],"top_logprobs":[{"5":%s}]}',
]


async def answered(engine: str, reply: Reply, *requests: Request) -> list[Response | BaseException]:
    """Return what an engine of this kind makes of a reply to each of these requests at once."""
    kind: EngineKind = engine_kinds()[engine]
    async with serving(reply) as server:
        settings = kind.settings.model_validate({"kind": engine, "base_url": server.url})
        async with kind.create(settings, Model(name="m")) as started:
            return await asyncio.gather(*map(started.generate, requests), return_exceptions=True)


def chat_body(logprobs: str) -> bytes:
    message = '{"role":"assistant","content":"4"}'
    return f'{{"choices":[{{"message":{message},"finish_reason":"stop","logprobs":{logprobs}}}]}}'.encode()


def text_body(logprobs: str) -> bytes:
    return f'{{"choices":[{{"text":"4","finish_reason":"stop","logprobs":{logprobs}}}]}}'.encode()


@pytest.mark.parametrize("number", [*NONE, "-Infinity", "-1e999"])
@pytest.mark.parametrize(("engine", "task", "given", "body"), VALUES)
def test_value_that_is_none_is_an_error(engine: str, task: str, given: Any, body: str, number: str) -> None:
    """Final for its row: the same would come again."""
    request = Request(task, given, {}, Scope({}, {}))

    (error,) = asyncio.run(answered(engine, Reply((body % number).encode()), request))

    assert isinstance(error, IncompleteResponseError | MalformedResponseError), error


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_base64_vector_with_a_number_that_is_none_is_an_error(number: float) -> None:
    """The others of its batch are answered."""
    vectors = [struct.pack("<2f", 0.5, value) for value in (3e38, number)]
    texts = [base64.b64encode(vector).decode() for vector in vectors]

    async def go() -> list[Response | BaseException]:
        reply = Reply({"data": [{"embedding": texts[1]}]})
        batch = Reply({"data": [{"embedding": text} for text in texts]})
        kind = engine_kinds()["vllm"]
        async with serving(batch, Reply({"data": [{"embedding": texts[0]}]}), reply) as server:
            settings = kind.settings.model_validate({"kind": "vllm", "base_url": server.url})
            async with kind.create(settings, Model(name="m")) as engine:
                requests = [Request("embed", text, {}, Scope({}, {})) for text in "ab"]
                return await asyncio.gather(*map(engine.generate, requests), return_exceptions=True)

    good, bad = asyncio.run(go())

    assert isinstance(good, Response)
    assert good.embeddings == (vectors[0],)
    assert isinstance(bad, IncompleteResponseError)
    assert "no number" in str(bad)


@pytest.mark.parametrize("number", NONE)
@pytest.mark.parametrize("form", [*((chat_body, one) for one in CHATS), *((text_body, one) for one in TEXTS)])
def test_log_probability_that_is_none(form: Any, number: str) -> None:
    """An error where it was requested, which holds the text that was paid for; else nothing."""
    made, logprobs = form
    reply = Reply(made(logprobs % number))
    request = chat_request if made is chat_body else text_request

    with pytest.raises(IncompleteResponseError) as caught:
        ask(reply, request(logprobs=True))
    plain, _ = ask(reply, request())

    assert isinstance(caught.value.response, Response)
    assert caught.value.response.text == plain.text == "4"
    assert [token.logprob for token in plain.choices[0].logprobs or ()] in ([], [-1])


@pytest.mark.parametrize("number", ["NaN", "null", "1e999"])
def test_prompts_log_probability_that_is_none(number: str) -> None:
    """It is the same for loglikelihoods, which are sums of these."""
    prompt = f'[null,{{"5":{{"logprob":{number},"decoded_token":"b"}}}}]'
    told = '"prompt_token_ids":[4,5]'
    choice = f'{{"text":"","finish_reason":"length","token_ids":[1],"prompt_logprobs":{prompt},{told}}}'
    body = f'{{"choices":[{choice}]}}'
    wanted = Request("loglikelihood", SPREAD, {}, Scope({}, {}))
    prompted = text_request(prompt_logprobs=1)

    for request in (wanted, prompted):
        (error,) = asyncio.run(answered("vllm", Reply(body.encode()), request))
        assert isinstance(error, IncompleteResponseError), error


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_piece_of_a_stream(number: str) -> None:
    """What was requested, and what wasn't."""
    token = f'{{"content":[{{"token":"4","logprob":{number}}}]}}'
    choice = f'{{"index":0,"delta":{{"content":"4"}},"finish_reason":"stop","logprobs":{token}}}'
    reply = event_stream(f'data: {{"choices":[{choice}]}}')

    with pytest.raises(AskError) as caught:
        ask(reply, chat_request(logprobs=True), stream=True)

    assert isinstance(caught.value, IncompleteResponseError)
    assert ask(reply, stream=True)[0].text == "4"


def test_first_token_of_an_echoed_prompt_has_no_log_probability() -> None:
    """As OpenAI documents it; the others have."""
    body = text_body('{"tokens":["a","4"],"token_logprobs":[null,-1]}')
    response, _ = ask(Reply(body), text_request(logprobs=True, passthrough={"echo": True}))

    assert [token.logprob for token in response.choices[0].logprobs or ()] == [0.0, -1]


def test_numbers_beside_what_was_requested_do_no_harm() -> None:
    """They are read by nobody."""
    body = json.dumps({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}], "x": [math.nan]})

    assert ask(Reply(body.encode().replace(b"NaN", b"NaN,1e999,-Infinity")))[0].text == "4"
