"""The engine of kind transformers, asked for real: what it answers, in which batch, and when it can't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from random import Random
from typing import Any

import pytest

from runner.engines.base import Engine
from runner.engines.transformers import KIND, Transformers
from runner.errors import (
    BadRequestError,
    ContextLengthError,
    EngineError,
    RequestTimeoutError,
)
from runner.spec import Model
from runner.values import Message, Request, Scope
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.asking_transformers import GREEDY, TINY, ask, generated, prompt_ids
from tests.engines.chunk_kit import texts_of

torch = pytest.importorskip("torch")
_ENDLESS: dict[str, Any] = {"temperature": 0.0, "max_tokens": 2000, "ignore_eos": True}


@asynccontextmanager
async def tiny(**settings: Any) -> AsyncIterator[Engine]:
    """Start the tiny model on a CPU."""
    own = Transformers(**{"device": "cpu", **settings})
    async with KIND.create(own, Model(name=str(TINY))) as engine:
        yield engine


def chat(*messages: Message, **sampling: Any) -> Request:
    """Return a request with these messages."""
    return Request("chat", messages, sampling, Scope({}, {}))


def questions(count: int) -> list[str]:
    """Return questions of many lengths, some of which the model can't answer."""
    draw = Random(0)
    asked = [f"{draw.randrange(100)}+{draw.randrange(100)}" for _ in range(count // 2)]
    return asked + [f"reverse {''.join(draw.choices('abcdef', k=draw.randrange(3, 30)))}" for _ in asked]


def test_both_tasks_are_answered() -> None:
    """A real model, loaded from the shipped folder, adds two numbers, by messages and by raw prompt."""
    chosen, complete = ask(
        chat_request("37+48", **GREEDY), text_request("<|user|>37+48<|assistant|>", **GREEDY)
    )

    assert (chosen.text, complete.text) == ("85", "85")
    assert chosen.choices[0].finish_reason == "stop"
    assert (chosen.usage.prompt_tokens, chosen.usage.completion_tokens) == (8, 3)
    assert (chosen.engine, chosen.engine_version) == ("transformers", KIND.installed_version())
    assert chosen.timing.seconds > 0
    assert (chosen.prompt_token_ids, chosen.prompt_logprobs, chosen.choices[0].token_ids) == (None,) * 3


@pytest.mark.parametrize("together", [True, False])
def test_greedy_answers_are_those_of_generate_token_by_token(*, together: bool) -> None:
    """A hundred rows in one batch, padded and leaving it one by one; and one after the other."""
    texts = questions(100)
    requests = [chat_request(text, **GREEDY, return_token_ids=True) for text in texts]

    size = 100 if together else 1
    answers = [r.choices[0].token_ids for r in ask(*requests, settings={"batch_size": size})]

    assert answers == [tuple(generated(text)) for text in texts]


def test_seeded_answers_do_not_depend_on_their_batch() -> None:
    """Alone, or among others that draw too and end before."""
    texts = questions(40)
    requests = [
        chat_request(text, temperature=1.5, top_p=0.95, max_tokens=40, seed=seed)
        for seed, text in enumerate(texts)
    ]
    others = [chat_request(text, temperature=3.0, max_tokens=5) for text in questions(20)]

    alone = [response.text for response in ask(*requests, settings={"batch_size": 1})]
    among = ask(*others, *reversed(requests), settings={"batch_size": 64})

    assert [response.text for response in among[:19:-1]] == alone
    assert len(set(alone)) > 30


def test_token_ids_are_a_prompt() -> None:
    """What return_token_ids told may be asked again; ids that the model hasn't are refused."""
    ids: Any = tuple(prompt_ids("37+48"))
    strange: Any = (5, 104)

    (response,) = ask(Request("complete", ids, {**GREEDY, "return_token_ids": True}, Scope({}, {})))

    assert response.text == "85"
    assert response.prompt_token_ids == ids
    with pytest.raises(BadRequestError, match="token 104; the model's are 0 to 103"):
        ask(Request("complete", strange, GREEDY, Scope({}, {})))


def test_stop_string_across_tokens_is_neither_shown_nor_part_of_the_answer() -> None:
    """The model has one token for each character, so that every stop string spans several."""
    (whole,) = ask(chat_request("reverse abcdefg", **GREEDY))
    stopped, other = ask(
        chat_request("reverse abcdefg", **GREEDY, stop=["dcx", "dcb"]),
        chat_request("reverse abcdefg", **GREEDY, stop=["zz"]),
    )

    assert whole.text == other.text == "gfedcba"
    assert (stopped.text, stopped.choices[0].finish_reason) == ("gfe", "stop")
    assert stopped.usage.completion_tokens == 6


def test_stream_shows_nothing_that_a_stop_string_may_take_back() -> None:
    """What turns out to begin none is shown then; joined, the pieces are the answer."""

    async def pieces(**sampling: Any) -> list[str]:
        async with tiny() as engine:
            request = chat_request("reverse abcdefg", **GREEDY, **sampling)
            return await texts_of(engine, request)

    assert asyncio.run(pieces()) == list("gfedcba")
    assert asyncio.run(pieces(stop=["dcb"])) == ["g", "f", "e"]
    assert asyncio.run(pieces(stop=["fx", "dcx"])) == ["g", "fe", "dcb", "a"]
    assert asyncio.run(pieces(stop=["ax"])) == [*"gfedcb", "a"]
    assert asyncio.run(pieces(n=3)) == list("gfedcba")


def test_pieces_are_timed_when_asked() -> None:
    """The answers are the same, and of one piece alone there is no time between two."""
    requests = [
        chat_request("reverse abcdefg", **GREEDY, n=2, logprobs=True),
        chat_request("reverse abcdefg", **GREEDY, stop=["f"]),
        text_request("<|user|>37+48<|assistant|>", **GREEDY),
    ]
    pieces, whole = ask(*requests, settings={"stream": True}), ask(*requests)

    assert [response.choices for response in pieces] == [response.choices for response in whole]
    reverse, stopped, sum_ = (response.timing for response in pieces)
    for timing in (reverse, sum_):
        assert timing.first_token is not None
        assert timing.inter_token is not None
        assert 0 < timing.first_token < timing.first_token + timing.inter_token <= timing.seconds
    assert (stopped.first_token is not None, stopped.inter_token) == (True, None)
    assert {response.timing.first_token for response in whole} == {None}


def test_min_tokens_holds_for_stop_strings_too() -> None:
    """One that is complete before is part of the answer."""
    (response,) = ask(chat_request("reverse abcabcab", **GREEDY, stop=["c"], min_tokens=3))

    assert response.text == "ba" + "c" + "ba"


def test_final_message_of_the_assistant_goes_on() -> None:
    """The answer is what follows it."""
    start = ({"role": "user", "content": "37+48"}, {"role": "assistant", "content": "8"})
    (response,) = ask(chat(*start, **GREEDY, continue_final_message=True))

    assert response.text == "5"
    with pytest.raises(BadRequestError, match="last message of the assistant's"):
        ask(chat(start[0], **GREEDY, continue_final_message=True))


def test_what_does_not_fit_the_context_is_refused_and_what_just_fits_is_answered() -> None:
    """Prompt and max_tokens together; without max_tokens the answer ends where the context does."""
    with pytest.raises(ContextLengthError, match=r"is 2048 tokens; the prompt has 3003$"):
        ask(chat_request("1" * 3000))
    with pytest.raises(ContextLengthError, match="the prompt has 8 and max_tokens is 2041"):
        ask(chat_request("37+48", max_tokens=2041))
    fits, full = ask(
        chat_request("37+48", temperature=0.0, max_tokens=2040),
        chat_request("1" * 2000, temperature=0.0, ignore_eos=True),
    )

    assert fits.text == "85"
    assert (full.usage.prompt_tokens or 0) + (full.usage.completion_tokens or 0) == 2048
    assert full.choices[0].finish_reason == "length"


@pytest.mark.parametrize("name", ["logit_bias", "stop_token_ids"])
def test_tokens_that_the_model_has_not_are_refused(name: str) -> None:
    """They would change nothing, or the wrong thing."""
    value: Any = {500: 1.0} if name == "logit_bias" else [500]

    with pytest.raises(BadRequestError, match=f"{name} has token 500"):
        ask(chat_request("1+1", **GREEDY, **{name: value}))


def test_answer_that_nobody_waits_for_leaves_its_batch() -> None:
    """Cancelled, timed out, or its stream closed: what is asked next need not wait for its end."""

    async def run() -> tuple[float, list[float]]:
        took = []
        async with tiny(batch_size=4, timeout=60) as engine, tiny(timeout=0.3) as hasty:
            start = time.perf_counter()
            await engine.generate(chat_request("1+1", **_ENDLESS))
            whole = time.perf_counter() - start

            stream = engine.stream(chat_request("1+1", **_ENDLESS))
            async with aclosing(stream) as pieces:
                await anext(pieces)
            start = time.perf_counter()
            assert (await engine.generate(chat_request("37+48", **GREEDY))).text == "85"
            took.append(time.perf_counter() - start)

            task = asyncio.create_task(engine.generate(chat_request("1+1", **_ENDLESS)))
            started = engine.stream(chat_request("1+1", **_ENDLESS))
            async with aclosing(started) as pieces:
                await anext(pieces)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            start = time.perf_counter()
            assert (await engine.generate(chat_request("37+48", **GREEDY))).text == "85"
            took.append(time.perf_counter() - start)

            with pytest.raises(RequestTimeoutError, match=r"no answer within 0\.3 s"):
                await hasty.generate(chat_request("1+1", **_ENDLESS))
        return whole, took

    whole, took = asyncio.run(run())

    assert max(took) < whole / 2


def test_engine_that_is_closed_ends_what_it_was_asked() -> None:
    """Without waiting for the answers."""

    async def run() -> None:
        async with tiny() as engine:
            task = asyncio.create_task(engine.generate(chat_request("1+1", **_ENDLESS)))
            stream = engine.stream(chat_request("1+1", **_ENDLESS))
            await anext(stream)
        with pytest.raises(EngineError, match="was closed"):
            await task
        with pytest.raises(EngineError, match="was closed"):
            async for _ in stream:
                pass

    asyncio.run(run())
