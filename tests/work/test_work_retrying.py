"""What is told of requests that are about to be sent again."""

from __future__ import annotations

import asyncio

import pytest

from runner.engines.limits import Limiter
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.engines.retrying import Backoff, Retrying
from runner.errors import ServerError
from runner.known import Keys
from runner.spec import Model
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import Reply, chat, serving

QUICK = Backoff(first=0.001, longest=0.002, jitter=0)


def told(*replies: Reply, attempts: int = 3) -> list[str]:
    """Ask once, and return what was told meanwhile."""
    said: list[str] = []

    async def ask() -> None:
        async with serving(*replies) as server:
            inner = KIND.create(OpenAICompatible(base_url=server.url), Model(name="m"))
            async with Retrying(inner, attempts, Limiter(1), QUICK, tell=said.append) as engine:
                await engine.generate(chat_request())

    asyncio.run(ask())
    return said


def test_every_further_attempt_is_told_with_its_reason() -> None:
    """And once the answer is there, that nothing waits any more."""
    assert told(Reply(b"", 503), Reply(b"", 500), Reply(chat())) == [
        "retrying (attempt 2 of 3): HTTP 503: Service Unavailable",
        "retrying (attempt 3 of 3): HTTP 500: Internal Server Error",
        "",
    ]


def test_nothing_is_told_of_what_succeeds_at_once() -> None:
    """The first attempt costs nothing more."""
    assert told(Reply(chat())) == []


def test_trouble_ends_with_the_last_request_that_had_it() -> None:
    """Of two requests that are tried again, the second to be given up clears what was told."""
    said: list[str] = []

    async def ask() -> None:
        async with serving(Reply(b"", 500)) as server:
            inner = KIND.create(OpenAICompatible(base_url=server.url), Model(name="m"))
            async with Retrying(
                inner, 2, Limiter(2), Backoff(first=0.2, jitter=0), tell=said.append
            ) as engine:
                both = (engine.generate(chat_request(text)) for text in "ab")
                failures = await asyncio.gather(*both, return_exceptions=True)
                assert [type(failure) for failure in failures] == [ServerError, ServerError]

    asyncio.run(ask())
    assert (said.count(""), said[-1]) == (1, "")


@pytest.mark.parametrize("size", [1, 500])
def test_keys_tell_the_new_from_the_known(size: int) -> None:
    """Whatever was added before, and however often a key is among those given."""
    first = [bytes([0]) * 4 + number.to_bytes(4) for number in range(size)]
    other = b"\xff" * 8
    with Keys() as keys:
        assert keys.add(first * 2) == set(first)
        assert keys.add([*first, other]) == {other}
