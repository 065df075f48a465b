"""Servers that don't report how many tokens an answer took: what a run shows, and what it notes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from runner.start import jobs_of, launch_jobs
from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject
from tests.http_server import Behaviour, HttpServer, answers, in_turn

NOTE = "answers have usage.prompt_tokens 14417.92, which is not a count of tokens; taken as unknown"


def saying(**usage: Any) -> Behaviour:
    """Return what answers 42 with these counts."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
    return answers(json.dumps({"choices": [choice], "usage": usage or None}).encode())


@pytest.fixture
def made(project: MakeProject) -> Project:
    """A project with an experiment of six rows."""
    return project({})


def engine(server: HttpServer) -> str:
    """Return the override that names a server, asked by one request at a time."""
    return f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', concurrency: 1}}"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([{}], "an unknown number of tokens generated"),
        ([{"completion_tokens": 2}], "12 tokens generated"),
        (
            [{"completion_tokens": 2}, {"completion_tokens": 2.5}],
            "at least 2 tokens generated (unknown for 5 responses)",
        ),
    ],
)
def test_sum_of_tokens_says_what_is_unknown(made: Project, counts: list[dict[str, Any]], said: str) -> None:
    """It is never shown as 0."""
    with HttpServer({"/v1/chat/completions": in_turn(*(saying(**one) for one in counts))}) as server:
        outcome = made.ran("run", "sums.yaml", engine(server))

    assert f"complete: 6 requests, {said}" in outcome.lines


def test_odd_count_is_noted_once(made: Project) -> None:
    """A run inside its command prints it where warnings go."""
    with HttpServer({
        "/v1/chat/completions": saying(prompt_tokens=14417.92, completion_tokens=1.0)
    }) as server:
        outcome = made.ran("run", "sums.yaml", engine(server))

    assert outcome.err.count(NOTE) == 1
    assert NOTE not in outcome.out


def test_note_stands_in_the_log_of_a_job_once(made: Project) -> None:
    """With its time."""
    with HttpServer({"/v1/chat/completions": saying(prompt_tokens=14417.92)}) as server:
        run = made.prepare("cluster=local", engine(server))
        launch_jobs(run, jobs_of(run))
        made.ran("status", "--watch")

    (log,) = run.path.glob("jobs/*/1/stdout.log")
    assert len(re.findall(rf"^\S+Z note: {re.escape(NOTE)}$", log.read_text(), re.MULTILINE)) == 1
