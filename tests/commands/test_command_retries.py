"""The end of a run, status and its JSON tell how often requests were sent again, and why."""

from __future__ import annotations

import json
from collections import Counter

from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject
from tests.http_server import Behaviour, Exchange, HttpServer, answers, chats, in_turn

CHAT = "/v1/chat/completions"


async def resets(exchange: Exchange) -> None:
    exchange.reset()


async def stalls(exchange: Exchange) -> None:
    await exchange.stall()


FAULTS: dict[str, Behaviour] = {
    "0": answers(b'{"error": {"message": "slow down"}}', 429),
    "1": answers(b"", 500),
    "2": answers(b"", 503),
    "3": stalls,
    "4": resets,
    "5": answers(b"{}"),
}
"""How the first attempt at each question fails; the second is answered."""


def faulty() -> Behaviour:
    asked: Counter[str] = Counter()

    async def behave(exchange: Exchange) -> None:
        question = exchange.request.json()["messages"][-1]["content"]
        asked[question] += 1
        await (FAULTS[question] if asked[question] == 1 else chats("0"))(exchange)

    return behave


def ran(made: Project) -> Outcome:
    with HttpServer({CHAT: faulty()}) as server:
        settings = f"kind: openai_compatible, base_url: '{server.url('/v1')}', timeout: 1"
        return made.ran("run", "sums.yaml", f"engine={{{settings}}}")


def test_retries_are_told_by_kind_wherever_a_run_is_shown(project: MakeProject) -> None:
    """Requests count once each; the run, status, its JSON and the lines agree."""
    made = project({})

    outcome = ran(made)

    (summary,) = (line for line in outcome.lines if line.startswith("complete"))
    status = made.ran("status")
    spent = made.ran("status", "--json").json["jobs"][0]["spent"]
    kinds = "2 server errors, 1 rate limit, 1 time-out, 1 connection failure, 1 malformed response"
    assert sorted(summary.partition("(")[2].partition(")")[0].split(", ")) == sorted(kinds.split(", "))
    assert summary.startswith("complete: 6 requests, 6 retries (2 server errors, ")
    assert summary in status.lines
    assert spent["requests"] == 6
    assert spent["retries"] == {
        "rate_limit": 1,
        "server_error": 2,
        "timeout": 1,
        "connection": 1,
        "malformed": 1,
    }
    lines = (made.last.point("0") / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["retries"] for line in lines] == [1] * 6


def test_run_without_retries_says_nothing_of_them(project: MakeProject) -> None:
    """One retry is told in the singular, none not at all."""
    made = project({})

    assert "retr" not in made.ran("run", "sums.yaml").out
    failing = ("engine.error=rate_limit", "engine.error_rate=1", "engine.max_attempts=2", "dataset.limit=1")
    assert (
        "1 request, 1 retry (1 rate limit), "
        in made.ran("run", "sums.yaml", *failing, "cache=refresh", code=3).out
    )


def test_times_of_cached_responses_are_told_apart(project: MakeProject) -> None:
    """Below the table of the second run, in metrics.json, and in status alike."""
    made = project({})
    words = ("run", "sums.yaml", "engine={kind: fake, stream: true, template: one two}")
    made.ran(*words, "dataset.limit=2")
    first = made.ran("status")
    some = made.ran(*words)
    again = made.ran(*words)

    assert not any(line.startswith("times:") for line in first.lines)
    times = "cached, with the times of the run that sent the request"
    assert f"times: 2 of 6 responses {times}" in some.lines
    assert f"times: all 6 responses {times}" in again.lines
    assert f"times: all 6 responses {times}" in made.ran("status").lines
    metrics = json.loads((made.last.point("0") / "metrics.json").read_text())
    assert metrics["times"]["first_token"]["cached"] == metrics["times"]["first_token"]["responses"] > 0


def test_final_error_after_a_retry_counts_it(project: MakeProject) -> None:
    """Its line has as many retries as the run."""
    made = project({})
    with HttpServer({
        CHAT: in_turn(answers(b"", 500), answers(b'{"error": {"message": "no"}}', 400))
    }) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}'}}"
        outcome = made.ran("run", "sums.yaml", engine, "dataset.limit=1", code=3)

    assert "1 request, 1 retry (1 server error), 0 tokens generated" in outcome.out
    (line,) = (made.last.point("0") / "results.jsonl").read_text().splitlines()
    assert (json.loads(line)["error"]["kind"], json.loads(line)["retries"]) == ("BadRequestError", 1)
    assert "  retries: 1" in made.ran("show", "--errors").lines


def test_resume_adds_to_what_a_run_took(project: MakeProject) -> None:
    """The summary counts all attempts, in status and at the end of a resume alike."""
    made = project({})
    failing = ("engine.error=rate_limit", "engine.error_rate=1", "engine.max_attempts=2", "dataset.limit=2")
    made.ran("run", "sums.yaml", *failing, code=3)

    resumed = made.ran("resume", code=3)
    status = made.ran("status", code=3)

    (summary,) = (line for line in resumed.lines if line.startswith("incomplete"))
    assert summary.startswith("incomplete: 4 requests, 4 retries (4 rate limits)")
    assert summary in status.lines
