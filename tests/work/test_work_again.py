"""What a later attempt takes over, and what it must not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runner.fold import PointCounts, fold_run
from runner.launch import StoppedJobsError
from runner.outcome import run_outcome
from runner.parity import answers
from runner.points import PointRecords
from runner.records import RECORDS_FILE
from runner.runs import CANCELLED, RETRY_FINAL, RunFolder
from runner.start import jobs_of, launch_jobs
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import CHAT, Echo, Lab, completion, served, sums

TWO = [{"user": "{{ row.q }}"}, {"generate": "first"}, {"user": "then {{ row.q }}"}, {"generate": "second"}]


def test_a_key_held_by_a_question_in_the_queue_stops_nobody(lab: Lab, echo: Echo, url: str) -> None:
    """With one request at once, a second slot equal to a first slot that waits behind it is asked."""
    lab.rows([{"id": "1", "q": "a", "a": "a"}, {"id": "2", "q": "b", "a": "b"}])
    turns = [{"user": "{{ row.q }}"}, {"generate": "first"}]
    lab.run(engine=served(url, concurrency=1), prompt={"turns": turns})
    lab.rows([{"id": "1", "q": "a", "a": "a"}, {"id": "2", "q": "a", "a": "a"}])

    result = lab.run(engine=served(url, concurrency=1), prompt={"turns": TWO})

    assert result.count.ok == 2
    assert echo.asked == {"a": 1, "b": 1, "then a": 1}


def test_a_final_error_that_becomes_passing_is_asked_by_resume(lab: Lab) -> None:
    """Refused, then retried while the server is down, then resumed: the newest word on a row counts."""
    lab.rows(sums(3))
    trouble: dict[str, tuple[int, str]] = {"1": (400, "no")}
    echo = Echo(trouble.get)
    with HttpServer({CHAT: echo}) as server:
        run = lab.run(engine=served(server.url("/v1"), max_attempts=1)).run
        trouble["1"] = (500, "down")
        marker = run.jobs[0] / RETRY_FINAL
        marker.touch()
        lab.work(run, retry_final=True)
        marker.unlink()
        trouble.clear()

        assert lab.work(run).count.ok == 3


def test_a_later_attempt_counts_whatever_its_clock_says(lab: Lab) -> None:
    """An answer of the second attempt wins over the first one's failure from a host whose clock is ahead."""
    lab.rows(sums(2))
    down = {"1"}
    echo = Echo(lambda text: (500, "oops") if text in down else None)
    with HttpServer({CHAT: echo}) as server:
        run = lab.prepare(engine=served(server.url("/v1"), max_attempts=1))
        first = lab.work(run)
        log = run.jobs[0] / "1" / RECORDS_FILE
        lines = [json.loads(line) | {"time": 4e9} for line in log.read_text().splitlines()]
        down.clear()
        second = lab.work(run)
    _fold_anew(run, log, lines)

    assert first.count.missing == 1
    assert second.count.ok == 2
    assert fold_run(run)["0"].ok == 2


def _fold_anew(run: RunFolder, log: Path, lines: list[dict[str, Any]]) -> None:
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run.jobs[0] / "folded.json").unlink()
    (run.point("0") / "cache.sqlite").unlink()


def test_a_conversation_without_cache_keeps_its_slots(lab: Lab) -> None:
    """With cache: false, slots that an earlier attempt of the same run paid for aren't asked again."""
    lab.rows([{"id": "1", "q": "a", "a": "b"}])
    down = {"then a"}
    echo = Echo(lambda text: (503, "down") if text in down else None)
    with HttpServer({CHAT: echo}) as server:
        first = lab.run(engine=served(server.url("/v1"), max_attempts=1), prompt={"turns": TWO}, cache=False)
        down.clear()
        lab.work(first.run)

    assert echo.asked == {"a": 1, "then a": 2}


def test_a_signal_ends_a_conversation_between_its_slots(lab: Lab) -> None:
    """After SIGTERM no further slot is sent; the answered one is kept for the next attempt."""
    lab.rows([{"id": "1", "q": "a", "a": "b"}])
    asked = []

    async def stop_after_first(exchange: Exchange) -> None:
        asked.append(exchange.request.json()["messages"][-1]["content"])
        if len(asked) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
        await exchange.answer(completion("yes"))

    with HttpServer({CHAT: stop_after_first}) as server:
        run = lab.prepare(engine=served(server.url("/v1")), prompt={"turns": TWO})
        with pytest.raises(StoppedJobsError, match="was told to stop"):
            lab.work(run)
        second = lab.work(run)

    assert second.state(1)["state"] == "interrupted"
    assert asked == ["a", "then a"]
    assert second.count.ok == 1


def test_refusals_that_differ_by_an_id_are_alike(lab: Lab) -> None:
    """A server that puts a request id into every refusal is stopped like one that doesn't."""
    lab.rows(sums(400))
    numbers = iter(range(10_000))
    echo = Echo(lambda _: (400, f"bad request (id req-{next(numbers):08x})"))
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")))

    assert result.count.missing == 400
    assert sum(echo.asked.values()) < 40


def test_a_dropped_point_hides_no_missing_row(lab: Lab) -> None:
    """A job whose other point lacks rows is incomplete, however much of the dropped one was done."""
    lab.rows(sums(4))
    echo = Echo(lambda text: (500, "oops") if text == "3" else None)
    with HttpServer({CHAT: echo}) as server:
        axes = {"sampling.temperature": [0, 1]}
        run = lab.prepare(engine=served(server.url("/v1"), max_attempts=1), sweep=axes)
        lab.work(run)
        (run.point("0-sampling.temperature=0") / CANCELLED).touch()
        second = lab.work(run)

    assert second.state(2)["state"] == "incomplete"


def test_rows_that_fail_to_render_are_not_counted_as_cached(lab: Lab, url: str) -> None:
    """Of what the cache serves before any job, only answers count."""
    lab.rows([*sums(2), {"id": "x", "a": "1"}])
    lab.run(engine=served(url))

    result = lab.run(engine=served(url))

    assert (result.count.served, result.count.errors) == (2, 1)
    with PointRecords(result.run.point("0") / "cache.sqlite") as records:
        assert records.counts() == {"ok": 2, "error": 1}


def test_a_full_disk_writes_nothing_more(lab: Lab) -> None:
    """After a failed append every later one fails too, so that no fold stands behind what is taken back."""
    from runner.records import RecordLog

    with RecordLog(lab.folder / RECORDS_FILE) as log:
        log._failed = OSError("no space")

        with pytest.raises(OSError, match="no space"):
            log.append([b"{}\n"])


def test_equal_rows_without_cache_are_each_asked_by_resume(lab: Lab) -> None:
    """With cache: false an earlier attempt's answer is its own row's, not an equal row's."""
    lab.rows([{"id": str(number), "q": "same", "a": "same"} for number in range(10)])
    numbers = iter(range(100))
    echo = Echo(lambda _: (500, "down") if 4 <= next(numbers) < 10 else None)
    with HttpServer({CHAT: echo}) as server:
        first = lab.run(engine=served(server.url("/v1"), max_attempts=1), cache=False)
        second = lab.work(first.run)

    assert (first.count.ok, second.count.ok) == (4, 10)
    assert echo.asked == {"same": 16}


def test_equal_rows_without_cache_keep_each_its_own_response(lab: Lab) -> None:
    """With cache: false, a point's file holds under a result's keys what that very row was answered."""
    lab.rows([{"id": str(number), "q": "same", "a": "same"} for number in range(3)])
    numbers = iter(range(3))

    async def count(exchange: Exchange) -> None:
        await exchange.answer(completion(f"answer {next(numbers)}"))

    with HttpServer({CHAT: count}) as server:
        result = lab.run(engine=served(server.url("/v1")), cache=False)

    told = {line["id"]: line["slots"]["answer"] for line in result.lines()}
    kept = {answer.id: answer.choices[0].text for answer in answers(result.run.point("0"))}
    assert kept == told
    assert len(set(told.values())) == 3


def test_slots_without_cache_are_kept_for_their_own_row(lab: Lab) -> None:
    """Of equal conversations with cache: false, a resume gives each the first slot that it was answered."""
    lab.rows([{"id": str(number), "q": "a", "a": "b"} for number in range(2)])
    numbers = iter(range(100))
    echo = Echo(lambda text: (500, "down") if text == "then a" or next(numbers) == 1 else None)
    with HttpServer({CHAT: echo}) as server:
        engine = served(server.url("/v1"), max_attempts=1, concurrency=1)
        first = lab.run(engine=engine, prompt={"turns": TWO}, cache=False)
        assert echo.asked == {"a": 2, "then a": 1}
        lab.work(first.run)

    assert echo.asked == {"a": 3, "then a": 3}


def test_a_damaged_cache_hides_no_results(lab: Lab) -> None:
    """A fold writes the points' own files, tells what is wrong, and shares the answers once it can."""
    lab.rows(sums(3))
    run = lab.prepare()
    launch_jobs(run, jobs_of(run))
    run.cache.write_bytes(b"no database")

    outcome = run_outcome(run)
    run.cache.unlink()
    again = run_outcome(run)

    assert (outcome.state, outcome.points[0].ok) == ("complete", 3)
    assert [f"the cache {run.cache} is damaged" in warning for warning in outcome.warnings] == [True]
    assert again.warnings == ()
    assert lab.run().count.served == 3


def test_metrics_json_has_the_counts_that_a_fold_returns(lab: Lab) -> None:
    """Who may only read a run counts as many cached answers as its owner does."""
    lab.rows(sums(3))
    lab.run()
    lab.rows(sums(5))

    result = lab.run()

    assert msgspec.convert(result.metrics(), PointCounts) == result.count
    assert result.count.served == 3
