"""The embedded engine where answers come in pieces: the same answers, and the times of the pieces."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from runner.engines.mistralrs import KIND, Mistralrs
from runner.errors import BadRequestError, ContextLengthError
from runner.shipped import shipped
from runner.spec import Model
from runner.values import Request, Response, Timing
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.chunk_kit import texts_of

TINY = shipped() / "models" / "tiny"
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 12}

pytestmark = pytest.mark.skipif(KIND.missing() is not None, reason="mistralrs is not installed")


def ask(*requests: Request, stream: bool = True) -> list[Response]:
    async def run() -> list[Response]:
        async with KIND.create(Mistralrs(stream=stream), Model(name=str(TINY))) as engine:
            return [await engine.generate(request) for request in requests]

    return asyncio.run(run())


def test_pieces_are_timed_and_make_up_the_answer_that_comes_at_once() -> None:
    """Its text, why it ended, its tokens; of one piece alone there is no time between two."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    requests = [
        chat_request("reverse abcdefg", **GREEDY),
        chat_request("37+48", **GREEDY, stop=["5"]),
        chat_request("reverse abcdefg", temperature=0.0, max_tokens=3, n=1),
        chat_request("37+48", temperature=0.0, max_tokens=40, json_schema=schema),
    ]
    pieces, whole = ask(*requests), ask(*requests, stream=False)

    def untimed(responses: list[Response]) -> list[Response]:
        # What the engine still knows of a prompt depends on what it was asked before.
        return [
            msgspec.structs.replace(
                response, timing=Timing(0.0), usage=msgspec.structs.replace(response.usage, cached_tokens=0)
            )
            for response in responses
        ]

    assert untimed(pieces) == untimed(whole)
    first, stopped, _, parsed = (response.timing for response in pieces)
    for timing in (first, parsed):
        assert timing.first_token is not None
        assert timing.inter_token is not None
        assert 0 < timing.first_token < timing.first_token + timing.inter_token <= timing.seconds
    assert (stopped.first_token is not None, stopped.inter_token) == (True, None)
    assert {response.timing.first_token for response in whole} == {None}


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (text_request("1+1", **GREEDY), "for task complete"),
        (chat_request("1+1", **GREEDY, n=2, logprobs=True), "with logprobs, n"),
    ],
)
def test_what_comes_only_at_once_is_refused(request_: Request, what: str) -> None:
    """A second choice's end and log probabilities are not in the pieces; raw prompts have none."""
    with pytest.raises(BadRequestError, match=f"mistralrs can't stream {what}: leave out engine.stream"):
        ask(request_)


def test_too_long_a_prompt_is_told_with_the_first_piece() -> None:
    """The library says so only then; what is asked next is answered."""

    async def run() -> str:
        async with KIND.create(Mistralrs(stream=True), Model(name=str(TINY))) as engine:
            with pytest.raises(ContextLengthError, match="2048"):
                await engine.generate(chat_request("1" * 3000, **GREEDY))
            with pytest.raises(ContextLengthError, match="2048"):
                await texts_of(engine, chat_request("1" * 3000, **GREEDY))
            return (await engine.generate(chat_request("37+48", **GREEDY))).text

    assert asyncio.run(run()) == "85"


def test_raw_prompt_may_be_streamed_though_it_has_no_pieces() -> None:
    """Whoever reads texts as they come gets the whole, whatever engine.stream says."""

    async def run() -> list[str]:
        async with KIND.create(Mistralrs(stream=True), Model(name=str(TINY))) as engine:
            request = text_request("<|user|>37+48<|assistant|>", **GREEDY)
            return await texts_of(engine, request)

    assert asyncio.run(run()) == ["85"]
