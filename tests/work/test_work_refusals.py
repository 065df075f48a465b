"""Refusals, and whose fault they are: the engine's, which never answered, or the rows' own."""

from __future__ import annotations

from runner.runs import RETRY_FINAL
from tests.http_server import HttpServer
from tests.work.work_kit import CHAT, Echo, Lab, Result, served, sums

GOOD = 10
BAD = 25


def few_answered(text: str) -> tuple[int, str] | None:
    """Refuse alike, and more often than an engine may that never answered, what comes after the good rows."""
    return None if int(text) < GOOD else (400, "content not allowed")


def counted(result: Result) -> tuple[int, int, int]:
    """Return how many rows are answered, failed for good and missing."""
    return result.count.ok, result.count.errors, result.count.missing


def test_a_second_run_completes_with_the_same_errors(lab: Lab) -> None:
    """An answer that the cache served before the job says that the engine answers."""
    lab.rows(sums(GOOD + BAD))
    with HttpServer({CHAT: Echo(few_answered)}) as server:
        first, second = (lab.run(engine=served(server.url("/v1"))) for _ in range(2))

    assert counted(first) == counted(second) == (GOOD, BAD, 0)
    assert second.state()["state"] == "complete"


def test_an_answer_from_the_cache_counts_as_a_success(lab: Lab) -> None:
    """A worker that finds an answer in the cache takes the refusals that follow for the rows' own."""
    lab.rows(sums(GOOD + BAD))
    with HttpServer({CHAT: Echo(few_answered)}) as server:
        engine = served(server.url("/v1"))
        lab.run(engine=engine)

        result = lab.work(lab.prepare(engine=engine))

    assert counted(result) == (GOOD, BAD, 0)


def test_retried_refusals_stay_final(lab: Lab) -> None:
    """An earlier attempt's answers say that the engine answers, though nothing but refusals follows."""
    lab.rows(sums(GOOD + BAD))
    with HttpServer({CHAT: Echo(few_answered)}) as server:
        run = lab.run(engine=served(server.url("/v1"))).run
        (run.jobs[0] / RETRY_FINAL).touch()
        again = lab.work(run, retry_final=True)

    assert counted(again) == (GOOD, BAD, 0)
    assert again.state(2)["state"] == "complete"


def test_a_final_error_outlives_a_retry_that_an_engine_refuses_altogether(lab: Lab) -> None:
    """Where no answer ever came, refusals that stop the job take no row's final error away."""
    lab.rows(sums(BAD))
    down = {str(number) for number in range(6, BAD)}
    echo = Echo(lambda text: (500, "down") if text in down else (400, "no"))
    with HttpServer({CHAT: echo}) as server:
        first = lab.run(engine=served(server.url("/v1"), max_attempts=1))
        down.clear()
        (first.run.jobs[0] / RETRY_FINAL).touch()
        again = lab.work(first.run, retry_final=True)

    assert counted(first) == counted(again) == (0, 6, BAD - 6)
    assert "requests were refused" in again.state(2)["error"]
