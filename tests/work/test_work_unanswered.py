"""A server that fails every request: the job stops once that is plain, and its rows stay to be asked."""

from __future__ import annotations

from itertools import count

import pytest

from tests.http_server import Behaviour, Exchange, HttpServer, answers, stalls
from tests.work.work_kit import CHAT, Echo, Lab, completion, served, sums

ROWS = 300


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (answers(b"down", 500), "(20 ServerError), such as: HTTP 500: down (after 2 attempts)"),
        (answers(b"", 429, "retry-after: 0"), "(20 RateLimitError), such as: HTTP 429"),
        (answers(b"{", 200), "(20 MalformedError), such as: "),
        (stalls, "(20 RequestTimeoutError), such as: "),
    ],
    ids=["500", "429", "malformed", "timeout"],
)
def test_twenty_requests_in_vain_and_no_success_stop_the_job(
    lab: Lab, behaviour: Behaviour, said: str
) -> None:
    """It fails and says with what; of the rest nothing is asked, and nothing is final for any row."""
    lab.rows(sums(ROWS))
    asked: list[Exchange] = []

    async def behave(exchange: Exchange) -> None:
        asked.append(exchange)
        await behaviour(exchange)

    with HttpServer({CHAT: behave}) as server:
        engine = served(server.url("/v1"), concurrency=20, timeout=1.0)
        result = lab.run(engine=engine)

    assert (result.count.ok, result.count.errors, result.count.missing) == (0, 0, ROWS)
    assert result.state()["state"] == "failed"
    assert f"EngineFailingError: none of 20 requests was answered {said}" in result.state()["error"]
    assert len(asked) <= 2 * 40


def test_failures_of_several_kinds_count_together(lab: Lab) -> None:
    """Whatever else is wrong each time, nothing was answered."""
    lab.rows(sums(ROWS))
    numbers = count()
    echo = Echo(lambda _: (500 + next(numbers) % 2, "down"))

    async def either(exchange: Exchange) -> None:
        await (exchange.answer(b"{") if next(numbers) % 3 == 0 else echo(exchange))

    with HttpServer({CHAT: either}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=1))

    assert result.count.missing == ROWS
    assert "MalformedError" in result.state()["error"]
    assert "ServerError" in result.state()["error"]


def test_resume_asks_the_rows_that_were_given_up(lab: Lab) -> None:
    """Once the server is mended, a second attempt completes the run."""
    lab.rows(sums(60))
    down = [True]

    async def mended(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        await exchange.answer(b"{" if down[0] else completion(text))

    with HttpServer({CHAT: mended}) as server:
        first = lab.run(engine=served(server.url("/v1"), max_attempts=1))
        down[0] = False
        second = lab.work(first.run)

    assert (first.count.errors, first.count.missing) == (0, 60)
    assert second.count.ok == 60


def test_malformed_answers_wait_for_a_success_to_be_final(lab: Lab) -> None:
    """Whose fault a malformed answer is shows with the first that isn't."""
    lab.rows(sums(30))

    async def nonsense(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        await exchange.answer(b"{" if int(text) < 10 else completion(text))

    with HttpServer({CHAT: nonsense}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=1))

    assert (result.count.ok, result.count.errors) == (20, 10)


def test_few_malformed_answers_without_a_success_are_final(lab: Lab) -> None:
    """Fewer than twenty are the rows' own, as refusals are."""
    lab.rows(sums(3))
    with HttpServer({CHAT: answers(b"{")}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=1))

    assert result.count.errors == 3


def test_failures_after_a_success_stop_nothing(lab: Lab) -> None:
    """A server that answered once may come back: every row is asked."""
    lab.rows(sums(ROWS))
    echo = Echo(lambda text: None if text == "0" else (500, "down"))
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=1))

    assert (result.count.ok, result.count.missing) == (1, ROWS - 1)
    assert result.state()["state"] == "incomplete"
    assert len(echo.asked) == ROWS


def test_answers_that_lack_what_was_asked_are_no_success(lab: Lab) -> None:
    """A server that drops log probabilities in silence is not paid for row after row."""
    lab.rows(sums(ROWS))
    echo = Echo()
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")), sampling={"logprobs": True})

    assert (result.count.errors, result.count.missing) == (0, ROWS)
    assert "(20 MissingLogprobsError)" in result.state()["error"]
    assert sum(echo.asked.values()) < 40
