"""Many inputs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.errors import AuthenticationError, BadRequestError, ConfigError, InputError
from runner.values import Response
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import CHAT, Echo, completion, served

pytestmark = pytest.mark.usefixtures("lab")

UNFIT: Any = 5
"""Nothing that a message could be made of."""


def refusing(text: str) -> tuple[int, str] | None:
    """Refuse what says so."""
    return (400, "no such thing") if text == "bad" else (401, "who are you") if text == "stranger" else None


class Counting:
    """An endpoint that keeps count of how many requests are in flight."""

    def __init__(self) -> None:
        self.now = self.most = self.total = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.now += 1
        self.total += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)  # so long does an answer take here
        self.now -= 1
        await exchange.answer(completion(exchange.request.json()["messages"][-1]["content"]))


def texts(results: list[Any]) -> list[str]:
    """Return each answer's text, or the name of its error."""
    return [one.text if isinstance(one, Response) else type(one).__name__ for one in results]


def test_batch_keeps_order_and_concurrency() -> None:
    """Answers stand where their inputs stood, and no more are in flight than the engine is to take."""
    endpoint = Counting()
    with HttpServer({CHAT: endpoint}) as server, LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm:
        answers = llm.batch([str(i) for i in range(200)], progress=False)

    assert texts(answers) == [str(i) for i in range(200)]
    assert 1 < endpoint.most <= 8


def test_generator_is_taken_as_there_is_room() -> None:
    """However many inputs there are, few wait for their answer."""
    given = answered = 0
    ahead: list[int] = []

    def inputs() -> Iterator[str]:
        nonlocal given
        for i in range(600):
            given += 1
            ahead.append(given - endpoint.total)
            yield str(i)

    endpoint = Counting()
    with HttpServer({CHAT: endpoint}) as server, LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm:
        answered = len(llm.batch(inputs(), progress=False))

    assert answered == 600
    assert max(ahead) <= 66


def test_errors_may_be_returned_in_place() -> None:
    """An input that can't be sent and one that is refused cost the others nothing."""
    with (
        HttpServer({CHAT: Echo(refusing)}) as server,
        LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm,
    ):
        found = llm.batch(["a", "bad", UNFIT, "b"], errors="return", progress=False)

    assert texts(found) == ["a", "BadRequestError", "InputError", "b"]


def test_input_that_is_no_json_costs_the_others_nothing() -> None:
    """Half a character, a message that holds itself, a path with a NUL: each is its own input's error."""
    endless: Any = [{"role": "user", "content": "hi"}]
    endless[0]["extra"] = endless
    unreadable = [{"role": "user", "content": [Path("a\0b.png")]}]
    with LLM("fake:m") as llm:
        found = llm.batch(["a", "\ud800", endless, unreadable, "b"], errors="return", progress=False)

    assert texts(found) == ["a", "InputError", "InputError", "InputError", "b"]


def test_first_error_is_raised_after_the_others() -> None:
    """What was answered is stored all the same."""
    echo = Echo(refusing)
    with HttpServer({CHAT: echo}) as server, LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm:
        with pytest.raises(BadRequestError, match="no such thing"):
            llm.batch(["a", "bad", "b"], progress=False)
        llm.batch(["a", "b"], progress=False)

    assert echo.asked == {"a": 1, "bad": 1, "b": 1}


def test_what_stops_the_engine_stops_the_batch() -> None:
    """A refused key isn't tried on a thousand rows; each gets the error."""
    echo = Echo(lambda _: (401, "who are you"))
    with HttpServer({CHAT: echo}) as server, LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm:
        found = llm.batch((str(i) for i in range(1000)), errors="return", progress=False)
        with pytest.raises(AuthenticationError, match="who are you"):
            llm.batch((str(i) for i in range(1000)), progress=False)

    assert texts(found) == ["AuthenticationError"] * 1000
    assert echo.asked.total() < 300


def test_batch_refuses_sampling_before_it_takes_an_input() -> None:
    """A fault of the call is no fault of a row."""

    def inputs() -> Iterator[str]:
        yield pytest.fail("taken")

    with LLM("fake:m") as llm, pytest.raises(ConfigError, match="unknown key"):
        llm.batch(inputs(), temprature=1)
    with (
        LLM("fake:m") as llm,
        pytest.raises(ConfigError, match="errors: 'ignore' given, expected raise or return"),
    ):
        llm.batch(inputs(), errors="ignore")  # type: ignore[call-overload]


def test_generator_that_raises_ends_the_batch() -> None:
    """Its own error comes through, and the LLM can be used after it."""

    def inputs() -> Iterator[str]:
        yield "a"
        raise ZeroDivisionError("mine")

    with LLM("fake:m") as llm:
        with pytest.raises(ZeroDivisionError, match="mine"):
            llm.batch(inputs())
        assert llm.generate_sync("b").text == "b"


def test_awaited_batch_can_be_cancelled() -> None:
    """Its requests in flight end with it, and later ones are answered."""

    async def ask() -> list[str]:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def inputs() -> Iterator[str]:
            for i in range(10_000):
                if i == 50:
                    loop.call_soon_threadsafe(begun.set)
                yield f"slow {i}"

        async with LLM("fake:m", engine={"kind": "fake", "latency": 30}) as llm:
            batch = asyncio.create_task(llm.batch_async(inputs()))
            await begun.wait()
            batch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await batch
        async with LLM("fake:m") as llm:
            return texts(await llm.batch_async(["a", "b"], progress=False))

    assert asyncio.run(ask()) == ["a", "b"]


def test_short_batch_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Lines for what is over at once would fill the log of a job that asks batch after batch."""
    with LLM("fake:m") as llm:
        llm.batch(["a", "b"])

    assert capfd.readouterr().err == ""


def test_progress_on_a_terminal_is_a_bar(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Done, cached and failed are counted."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with LLM("fake:m") as llm:
        llm.generate_sync("a")
        llm.batch(["a", "b", UNFIT], errors="return")

    told = capfd.readouterr().err
    assert "3/3" in told
    assert "1 cached, 1 failed" in told


def test_row_error_keeps_what_the_server_said() -> None:
    """The error object of a row has status and message."""
    with (
        HttpServer({CHAT: Echo(refusing)}) as server,
        LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm,
    ):
        (found,) = llm.batch(["bad"], errors="return", progress=False)

    assert isinstance(found, BadRequestError)
    assert (found.status, found.message) == (400, "no such thing")
    assert not isinstance(found, InputError)


@pytest.mark.parametrize("given", ["hello", b"hello", {"role": "user", "content": "hello"}])
def test_one_input_is_no_batch(given: Any) -> None:
    """A text would be a batch of its letters, each paid for."""
    with LLM("fake:echo") as llm, pytest.raises(ConfigError, match="one input given, expected many"):
        llm.batch(given, progress=False)
