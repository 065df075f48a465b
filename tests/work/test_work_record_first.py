"""What was paid for is on disk before it is checked or scored."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from runner.runs import RETRY_FINAL, RunFolder
from tests.http_server import Exchange, HttpServer
from tests.work.own_scorer import OwnScorer, records
from tests.work.work_kit import CHAT, Echo, Lab, Result, completion, served, sums

RIGHT = "return Score(float(text == target), text)"
BACKTRACKING = {"type": "string", "pattern": "^(a+)+$"}
LONG = json.dumps("a" * 40 + "!")


@pytest.fixture
def own(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> OwnScorer:
    """A project with a scorer of its own, whose engine is the `echo` endpoint."""
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    return OwnScorer(tmp_path, url)


FAILURES = {
    "raise KeyError(text)": "KeyError",
    "import os; os._exit(9)": "its process died (exit code 9)",
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "its process died (signal 11)",
    "import sys; sys.exit(0)": "its process died (exit code 0)",
    "return Score(float('nan'))": "expected a Score",
    "return Score(10**400)": "expected a Score",
    "return 1": "expected a Score",
    "return Score(1.0, 5)": "expected text",
    "return Score(1.0, chr(0xD800))": "expected text",
    "return self.nothing": "AttributeError",
    "raise ValueError(chr(0xD800))": "ValueError: ?",
    "raise ValueError('x' * 5_000_000)": "ValueError: xx",
    "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()": "ZeroDivisionError",
}


def test_scorer_that_fails_is_the_rows_error_and_a_mended_one_costs_nothing(
    own: OwnScorer, echo: Echo
) -> None:
    """The answers stay, no resume sends a request, and `rescore` makes it right."""
    cases = [f"if text == '{number}':\n    {body}\n" for number, body in enumerate(FAILURES)]
    own.write("".join(cases) + RIGHT)
    own.experiment(len(FAILURES) + 1)
    own.ran("run", "own.yaml", code=3)
    *failed, right = own.lines()
    own.ran("resume", "last", code=3)
    own.write(RIGHT)
    own.ran("rescore", "last", "scorers=[own]")

    for line, said in zip(failed, FAILURES.values(), strict=True):
        assert line["error"]["kind"] == "ScorerError"
        assert len(line["error"]["message"]) < 1_000
        assert said in line["error"]["message"]
        assert line["slots"] == {"answer": line["id"]}
    assert "error" not in right
    assert all(line["scores"]["own"]["value"] == 1.0 for line in own.lines("rescored/1"))
    assert echo.asked.total() == len(FAILURES) + 1


def test_scorer_that_prints_and_reads_disturbs_nothing(own: OwnScorer) -> None:
    """Its output is the log's, and its input is empty."""
    own.write(f"import sys\nprint('x' * 100_000)\nassert sys.stdin.read() == ''\n{RIGHT}")
    own.experiment(3)
    own.ran("run", "own.yaml")

    assert [line["scores"]["own"]["value"] for line in own.lines()] == [1.0, 1.0, 1.0]


def test_scorer_that_holds_the_interpreter_is_ended(own: OwnScorer, echo: Echo) -> None:
    """A pattern that backtracks never lets go of the lock; the other rows are scored meanwhile."""
    own.write(f"import re\nif text == '1':\n    re.fullmatch('(a+)+', 'a' * 64 + '!')\n{RIGHT}", seconds=1.0)
    own.experiment(5)
    own.ran("run", "own.yaml", code=3)
    kinds = [line.get("error", {}).get("kind") for line in own.lines()]

    assert kinds == [None, "ScorerError", None, None, None]
    assert "took longer than 1 s" in own.lines()[1]["error"]["message"]
    own.ran("run", "own.yaml", code=3)
    assert echo.asked.total() == 5


def test_every_one_of_many_calls_has_its_result(lab: Lab) -> None:
    """The signal that ends a child with its parent never comes of a call."""
    lab.rows(sums(10_000))
    result = lab.run(scorers={"number": {"kind": "regex", "pattern": "[0-9]+"}}, cache=False)

    assert (result.count.ok, result.count.errors) == (10_000, 0)


def test_worker_that_is_killed_while_it_scores_has_lost_no_answer(own: OwnScorer, echo: Echo) -> None:
    """A resume finds what is on disk, scores it, and sends no request."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        port = waiting.getsockname()[1]
        marker = own.folder / "wait"
        marker.touch()
        wait = f"socket.create_connection(('127.0.0.1', {port})).recv(1)"
        own.write(f"import os, socket\nif os.path.exists({str(marker)!r}):\n    {wait}\n{RIGHT}")
        own.experiment(1)
        process = own.start("run", "own.yaml")
        waiting.settimeout(60)
        scoring, _ = waiting.accept()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        on_disk = records(own.run)
        scoring.close()
    marker.unlink()
    own.ran("resume", "last")

    assert [len(record["answers"]) for record in on_disk] == [1]
    assert on_disk[0]["result"] is None
    assert own.lines()[0]["scores"]["own"]["value"] == 1.0
    assert echo.asked.total() == 1


def test_target_that_needs_the_answer_is_rendered_after_the_commit(own: OwnScorer, echo: Echo) -> None:
    """A template that never ends costs its row, whatever the scorer."""
    own.write(RIGHT)
    slow = "{% for a in range(9999) %}{% for b in range(9999) %}" * 2 + "{% endfor %}" * 4
    target = "{% if answer == '1' %}" + slow + "{% endif %}{{ answer }}"
    own.experiment(3, scorers={"exact": {"kind": "exact_match", "target": target}})
    own.ran("run", "own.yaml", code=3)
    kinds = [line.get("error", {}).get("kind") for line in own.lines()]

    assert kinds == [None, "ScorerError", None]
    assert echo.asked.total() == 3


def test_schema_that_takes_for_ever_costs_its_row_and_no_answer(lab: Lab) -> None:
    """The answer is on disk, the others are checked, and no resume sends a request."""
    lab.rows(sums(3))
    texts = {"0": LONG, "1": '"a"', "2": '"aa"'}
    echo = Echo()

    async def answer(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        echo.asked[text] += 1
        await exchange.answer(completion(texts[text]))

    with HttpServer({CHAT: answer}) as server:
        result = lab.run(engine=served(server.url("/v1")), sampling={"json_schema": BACKTRACKING})
        again = _retried(lab, result.run)

    kinds = [line.get("error", {}).get("kind") for line in result.lines()]
    assert kinds == ["CheckError", None, None]
    assert sum(not answer["verified"] for answer in _answers(result.run.path) if "verified" in answer) == 3
    assert [line.get("error", {}).get("kind") for line in again.lines()] == kinds
    assert echo.asked.total() == 3


@pytest.mark.parametrize(
    "sampling",
    [{"n": 2}, {"json_schema": {"type": "object"}}, {"choice": ["yes", "no"]}, {"regex": "[a-z]+"}],
)
def test_answer_that_lacks_what_was_asked_is_kept_and_answers_nothing(
    lab: Lab, sampling: dict[str, Any]
) -> None:
    """A resume sends no request; --retry-final and another run do."""
    lab.rows(sums(2))
    echo = Echo()
    with HttpServer({CHAT: echo}) as server:
        engine = served(server.url("/v1"), kind="vllm")
        first = lab.run(engine=engine, sampling=sampling)
        kept = _answers(first.run.path)
        lab.work(first.run)
        resumed = echo.asked.total()
        _retried(lab, first.run)
        retried = echo.asked.total()
        lab.run(engine=engine, sampling=sampling)

    assert {line["error"]["kind"] for line in first.lines()} == {"IncompleteResponseError"}
    assert sorted(answer["response"]["choices"][0]["text"] for answer in kept) == ["0", "1"]
    assert not any(answer["verified"] for answer in kept)
    assert (resumed, retried, echo.asked.total()) == (2, 4, 6)


def test_equal_requests_share_an_answer_that_lacks_what_was_asked(lab: Lab) -> None:
    """It is checked for each row, and requested once."""
    lab.rows([{"id": str(number), "q": "same", "a": "a"} for number in range(5)])
    echo = Echo()
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")), sampling={"json_schema": {"type": "object"}})

    assert result.count.errors == 5
    assert echo.asked.total() == 1


def test_answer_that_waits_for_its_check_is_checked_by_the_next_attempt(lab: Lab) -> None:
    """The log of a worker that was killed in between ends with the response alone."""
    lab.rows(sums(2))
    echo = Echo()
    with HttpServer({CHAT: echo}) as server:
        engine = served(server.url("/v1"), kind="vllm")
        first = lab.run(engine=engine, sampling={"regex": "[0-9]+"})
        log = first.run.jobs[0] / "1" / "records.jsonl"
        lines = log.read_text().splitlines(keepends=True)
        log.write_text("".join(line for line in lines if '"verified":false' in line))
        for name in ("folded.json", "../../points/0/metrics.json", "../../points/0/cache.sqlite"):
            (first.run.jobs[0] / name).unlink()
        (first.run.path.parent.parent / ".cache.sqlite").unlink()
        second = lab.work(first.run)

    assert (second.count.ok, second.count.missing) == (2, 0)
    assert echo.asked.total() == 2


def _retried(lab: Lab, run: RunFolder) -> Result:
    for job in run.jobs:
        (job / RETRY_FINAL).touch()
    return lab.work(run, retry_final=True)


def _answers(run: Path) -> list[dict[str, Any]]:
    return [answer for record in records(run) for answer in record["answers"]]
