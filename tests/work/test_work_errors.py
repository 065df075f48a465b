"""How a job ends when an engine, a row or a server fails: each as docs/errors.md says."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from runner.runs import RETRY_FINAL
from tests.http_server import Behaviour, Exchange, HttpServer, answers, resets
from tests.work.work_kit import CHAT, Echo, Lab, completion, served, sums


def test_bad_request_is_final_and_counted(lab: Lab) -> None:
    """A refused row gets a record with its class, and the run is complete with a count."""
    lab.rows(sums(5))
    echo = Echo(lambda text: (400, "no threes") if text == "3" else None)
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert (result.count.ok, result.count.errors, result.count.missing) == (4, 1, 0)
    assert result.lines()[3]["error"] == {"kind": "BadRequestError", "message": "no threes", "status": 400}
    assert result.state()["state"] == "complete"


def test_final_error_is_not_asked_again_unless_told(lab: Lab) -> None:
    """`resume` leaves final errors alone; with the marker of --retry-final it asks them, and only them."""
    lab.rows(sums(5))
    refused = {"3"}
    echo = Echo(lambda text: (400, "no") if text in refused else None)
    with HttpServer({CHAT: echo}) as server:
        first = lab.run(engine=served(server.url("/v1")))
        refused.clear()
        assert lab.work(first.run).jobs == 0
        (first.run.jobs[0] / RETRY_FINAL).touch()
        second = lab.work(first.run, retry_final=True)

    assert second.count.ok == 5
    assert echo.asked["3"] == 2
    assert sum(echo.asked.values()) == 6


def test_twenty_equal_refusals_without_a_success_stop_the_job(lab: Lab) -> None:
    """An engine that refuses everything alike is at fault, not the rows: they stay missing."""
    lab.rows(sums(300))
    echo = Echo(lambda _: (400, "model is not for chat"))
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert result.count.errors == 0
    assert sum(echo.asked.values()) < 40
    assert result.state()["state"] == "failed"
    assert "model is not for chat" in result.state()["error"]


def test_few_refusals_without_a_success_are_final(lab: Lab) -> None:
    """Fewer than twenty refusals are the rows' own."""
    lab.rows(sums(3))
    with HttpServer({CHAT: Echo(lambda _: (400, "no"))}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert result.count.errors == 3


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "AuthenticationError"), (403, "AuthenticationError"), (404, "UnknownModelError")],
)
def test_wrong_key_or_model_stops_the_job(lab: Lab, status: int, said: str) -> None:
    """What no row can mend ends the job at once, with the server's words, and the rows stay missing."""
    lab.rows(sums(200))
    echo = Echo(lambda _: (status, "The model `m` does not exist"))
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert result.count.missing == 200
    assert sum(echo.asked.values()) <= 16
    assert said in result.state()["error"]


def test_server_that_is_not_there_stops_the_job(lab: Lab) -> None:
    """With no connection after all attempts the job fails; nothing is recorded against the rows."""
    lab.rows(sums(20))
    with HttpServer({}) as server:
        url = server.url("/v1")

    result = lab.run(engine=served(url, max_attempts=1))

    assert (result.count.missing, result.count.errors) == (20, 0)
    assert "EngineUnreachableError" in result.state()["error"]


def test_server_errors_that_stay_leave_the_run_incomplete(lab: Lab) -> None:
    """What a retry may mend is taken up by resume, and asked only then."""
    lab.rows(sums(6))
    down = {"2", "4"}
    echo = Echo(lambda text: (500, "oops") if text in down else None)
    with HttpServer({CHAT: echo}) as server:
        first = lab.run(engine=served(server.url("/v1"), max_attempts=1))
        down.clear()
        second = lab.work(first.run)

    assert (first.count.ok, first.count.missing) == (4, 2)
    assert first.state()["state"] == "incomplete"
    assert second.count.ok == 6
    assert echo.asked == {"0": 1, "1": 1, "2": 2, "3": 1, "4": 2, "5": 1}


@pytest.mark.parametrize(
    "trouble",
    [answers(b"{", 200), resets, answers(b"{}", 429, "retry-after: 0"), answers(b"busy", 503)],
    ids=["malformed", "reset", "429", "503"],
)
def test_a_row_that_fails_once_is_asked_again(lab: Lab, trouble: Behaviour) -> None:
    """Trouble that passes costs a retry and nothing else."""
    lab.rows(sums(3))
    seen: set[str] = set()

    async def once(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        if text not in seen:
            seen.add(text)
            await trouble(exchange)
        else:
            await exchange.answer(completion(text))

    with HttpServer({CHAT: once}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=4))

    assert result.count.ok == 3


def test_storm_of_429s_loses_no_row_and_pays_for_none_twice(lab: Lab) -> None:
    """A server that takes four requests at once, of a job that sends 32, answers every row once."""
    lab.rows(sums(80))
    answered: Counter[str] = Counter()
    refused = taken = 0

    async def four_at_once(exchange: Exchange) -> None:
        nonlocal refused, taken
        if taken >= 4:
            refused += 1
            await exchange.answer(b"{}", 429, ("retry-after-ms: 50",))
            return
        taken += 1
        await asyncio.sleep(0.01)
        text = exchange.request.json()["messages"][-1]["content"]
        answered[text] += 1
        taken -= 1
        await exchange.answer(completion(text))

    with HttpServer({CHAT: four_at_once}) as server:
        result = lab.run(engine=served(server.url("/v1"), concurrency=32, max_attempts=10))

    assert refused >= 28
    assert result.count.ok == 80
    assert set(answered.values()) == {1}
    assert len(answered) == 80


def test_malformed_answers_that_stay_are_final(lab: Lab) -> None:
    """A server that keeps answering nonsense for one row makes that row's error final."""
    lab.rows(sums(2))

    async def nonsense(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        await exchange.answer(b"{" if text == "1" else completion(text))

    with HttpServer({CHAT: nonsense}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=1))

    assert (result.count.ok, result.count.errors) == (1, 1)


def test_content_filter_is_an_answer(lab: Lab) -> None:
    """A filtered answer with HTTP 200 is recorded and cached like any other."""
    lab.rows(sums(1))
    filtered = completion("").replace(b'"stop"', b'"content_filter"')
    with HttpServer({CHAT: answers(filtered)}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert result.count.ok == 1
    assert result.lines()[0]["finish"] == {"answer": "content_filter"}


def test_max_errors_stops_the_job(lab: Lab) -> None:
    """Once as many rows failed for good as max_errors says, no further row is asked."""
    lab.rows(sums(500))
    echo = Echo(lambda text: None if text == "0" else (400, f"no {text}"))
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")), max_errors=3)

    assert result.count.missing > 400
    assert "max_errors" in result.state()["error"]


def test_one_of_a_thing_is_told_as_one(lab: Lab) -> None:
    """What ends a job is told in words that fit a single row, too."""
    lab.rows(sums(2))
    echo = Echo(lambda text: (400, f"no {text}"))
    with HttpServer({CHAT: echo}) as server:
        refused = lab.run(engine=served(server.url("/v1"), concurrency=1), max_errors=1)
    lab.rows(sums(1))
    unanswered = lab.run(engine={"kind": "fake", "error": "server_error", "error_rate": 1, "max_attempts": 1})

    assert "1 row failed, as many as max_errors allows" in refused.state()["error"]
    assert unanswered.state()["error"] == "1 result missing: the engine failed to answer"


def test_max_errors_counts_what_is_refused_before_any_success(lab: Lab) -> None:
    """Whoever sets max_errors pays for no more refusals than that; a resume goes on with the next rows."""
    lab.rows(sums(500))
    echo = Echo(lambda text: (400, f"no {text}"))
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1"), concurrency=1), max_errors=3)
        resumed = lab.work(result.run)

    assert (result.count.errors, result.count.missing) == (3, 497)
    assert "max_errors" in result.state()["error"]
    assert (resumed.count.errors, resumed.count.missing) == (6, 494)
    assert set(echo.asked.values()) == {1}


def test_max_errors_that_all_rows_come_to_is_no_failure(lab: Lab) -> None:
    """With no row left to be asked nothing is stopped, refused before any success or not."""
    lab.rows(sums(5))
    with HttpServer({CHAT: Echo(lambda text: (400, f"no {text}"))}) as server:
        result = lab.run(engine=served(server.url("/v1")), max_errors=5)

    assert result.count.errors == 5
    assert result.state()["state"] == "complete"


def test_target_that_nothing_compares_with_is_never_asked_for(lab: Lab) -> None:
    """A target without a number is its row's error before anything is paid."""
    lab.rows([*sums(2), {"id": "x", "q": "2", "a": "five"}])
    echo = Echo(lambda _: None)
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")), scorers={"number": {"kind": "numeric"}})

    assert sum(echo.asked.values()) == 2
    assert result.lines()[2]["error"] == {
        "kind": "RenderError",
        "message": "scorers.number: the target 'five' holds no number",
    }


def test_template_that_fails_on_a_row_is_that_rows_error(lab: Lab, url: str) -> None:
    """A row without a column that the template needs is recorded as failed, and the others run."""
    lab.rows([*sums(2), {"id": "x", "a": "1"}])

    result = lab.run(engine=served(url))

    assert (result.count.ok, result.count.errors) == (2, 1)
    assert result.lines()[2]["error"]["kind"] == "RenderError"


def test_no_answer_in_time_is_missing(lab: Lab) -> None:
    """A row whose answer doesn't come within engine.timeout is left to resume."""
    lab.rows(sums(2))

    async def slow(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        if text == "1":
            await exchange.stall()
        await exchange.answer(completion(text))

    with HttpServer({CHAT: slow}) as server:
        result = lab.run(engine=served(server.url("/v1"), max_attempts=1, timeout=2.0))

    assert (result.count.ok, result.count.missing) == (1, 1)


def test_secret_is_masked_in_what_a_server_echoes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the server repeats in an answer or an error appears in no file of the run."""
    monkeypatch.setenv("LAB_KEY", "s3cr3t-value")
    lab.rows(sums(2))

    async def tattle(exchange: Exchange) -> None:
        key = exchange.request.headers["authorization"]
        text = exchange.request.json()["messages"][-1]["content"]
        await exchange.answer(completion(key) if text == "0" else key.encode(), 200 if text == "0" else 400)

    with HttpServer({CHAT: tattle}) as server:
        result = lab.run(engine=served(server.url("/v1"), api_key_env="LAB_KEY"))

    files = [path for path in result.run.runs.rglob("*") if path.is_file()]
    assert result.count.ok == 1
    assert [path for path in files if b"s3cr3t-value" in path.read_bytes()] == []


def test_row_whose_target_is_missing_is_never_asked(lab: Lab) -> None:
    """What no scorer could judge isn't paid for: a target that needs no answer is made before any request."""
    lab.rows([*sums(3), {"id": "lost", "q": "9"}])
    echo = Echo()
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert (result.count.ok, result.count.errors) == (3, 1)
    assert "9" not in echo.asked
    assert "the row has no column 'a'" in result.lines()[3]["error"]["message"]


def test_target_that_needs_an_answer_is_made_of_it(lab: Lab) -> None:
    """A target with a slot's name in it waits for the answers."""
    lab.rows(sums(2))
    result = lab.run(dataset={"path": "rows.jsonl", "target": "{{ answer }}"})

    assert result.count.ok == 2


def test_different_faults_of_templates_are_told_apart(lab: Lab) -> None:
    """Failures count together where a template failed alike, whatever else its rows hold."""
    lacking: list[dict[str, Any]] = [
        {"id": "1", "q": "x"},
        {"id": "2", "q": None, "a": "z"},
        {"id": "3", "q": "w", "b": 1},
    ]
    lab.rows([*sums(1), *lacking])

    failures = lab.run().metrics()["failures"]

    assert [(one["count"], one["id"]) for one in failures] == [(2, "1"), (1, "2")]
