"""What is to be mended before a resume can help is said first."""

from __future__ import annotations

import pytest

from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer, answers

CHAT = "/v1/chat/completions"
NO_MODEL = answers(b'{"error": {"message": "The model `m` does not exist"}}', 404)
REFUSED = answers(b'{"error": {"message": "wrong key"}}', 401)


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (
            ("engine.error=authentication",),
            "what the message says; for other settings start a new run",
        ),
        (
            ("engine.error=connection", "engine.max_attempts=1"),
            "the server must answer there; for another address start a new run",
        ),
        (
            ("engine.error=context_length", "max_errors=2", "engine.error_rate=0.6", "engine.concurrency=1"),
            "see why rows failed; a resume goes on until 2 more have (max_errors)",
        ),
    ],
)
def test_failed_run_says_what_to_mend_before_resume(
    project: MakeProject, words: tuple[str, ...], mend: str
) -> None:
    """In run and status alike, as the last two lines."""
    made = project({})

    ran = made.ran("run", "sums.yaml", "engine.error_rate=1", *words, code=1)
    status = made.ran("status", code=1)

    expected = [f"fix:     {mend}", f"then:    runner resume {made.last.name}"]
    assert ran.lines[-2:] == status.lines[-2:] == expected


@pytest.mark.parametrize(
    ("refusal", "mend"),
    [
        (REFUSED, "set LAB_KEY to a key that the server takes for this model"),
        (NO_MODEL, "the server must serve this model; for another name start a new run"),
    ],
    ids=["key", "model"],
)
def test_refusal_of_a_server_says_whose_matter_it_is(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, refusal: object, mend: str
) -> None:
    """A key is set outside the run, which a resume takes up; a model's name is the run's own."""
    monkeypatch.setenv("LAB_KEY", "not-the-right-one")
    made = project({})
    with HttpServer({CHAT: refusal}) as server:  # type: ignore[dict-item]
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', api_key_env: LAB_KEY}}"
        outcome = made.ran("run", "sums.yaml", engine, code=1)

    assert outcome.lines[-2] == f"fix:     {mend}"


def test_rows_that_all_timed_out_say_so_before_resume(project: MakeProject) -> None:
    """The time they had is the run's own, so that a resume alone may not help."""
    made = project({})

    outcome = made.ran(
        "run", "sums.yaml", "engine.error=timeout", "engine.error_rate=1", "engine.max_attempts=1", code=3
    )

    mend = "the server must answer within engine.timeout; to wait longer start a new run"
    assert outcome.lines[-2:] == [f"fix:     {mend}", f"then:    runner resume {made.last.name}"]


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("server_error", "the server must answer; for another one or other settings start a new run"),
        ("timeout", "the server must answer within engine.timeout; to wait longer start a new run"),
    ],
)
def test_server_that_fails_every_request_is_to_be_mended(project: MakeProject, error: str, mend: str) -> None:
    """A job that was stopped for that says so, and a resume asks what is missing."""
    rows = "".join(f'{{"question": "{number}", "answer": "1"}}\n' for number in range(100))
    made = project({"rows.jsonl": rows})
    failing = (f"engine.error={error}", "engine.error_rate=1", "engine.max_attempts=1")

    ran = made.ran("run", "sums.yaml", *failing, code=1)
    status = made.ran("status", code=1)

    expected = [f"fix:     {mend}", f"then:    runner resume {made.last.name}"]
    assert ran.lines[-2:] == status.lines[-2:] == expected
    assert "job 0-parrot: failed: EngineFailingError: none of 20 requests was answered" in ran.out


def test_final_errors_are_asked_again_only_once_something_changed(project: MakeProject) -> None:
    """--retry-final is named behind what it presupposes."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "engine.error=context_length", "engine.error_rate=0.5", code=3)

    assert outcome.lines[-2].startswith("fix:     the server; or the prompt")
    assert outcome.lines[-1] == f"then:    runner resume {made.last.name} --retry-final"


def test_rows_that_cannot_be_rendered_are_no_matter_of_a_resume(project: MakeProject) -> None:
    """Templates and rows are frozen in the run: no command is proposed."""
    rows = '{"question": "1", "answer": "1", "hint": "x"}\n{"question": "2", "answer": "2"}\n'

    outcome = project({"rows.jsonl": rows}).ran("run", "sums.yaml", 'prompt="{{ row.hint }}"', code=3)

    assert outcome.lines[-1] == "fix:     the template or the rows, in a new run"


def test_results_are_named_only_where_there_are_any(project: MakeProject) -> None:
    """A run whose first request was refused has written none."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "engine.error=authentication", "engine.error_rate=1", code=1)

    assert [line for line in outcome.lines if line.startswith("results:")] == []
    assert list((made.last.path / "points").rglob("results.jsonl")) == []


MAX = ("engine.error=context_length", "engine.error_rate=0.6", "engine.concurrency=1", "max_errors=2")


def test_max_errors_fails_the_run_wherever_one_looks(project: MakeProject) -> None:
    """Run, status and resume agree on state, exit code and message; a resume goes on from there."""
    made = project({})
    outcomes = [made.ran("run", "sums.yaml", *MAX, code=1), made.ran("status", code=1)]
    missing = made.ran("status", "--json", code=1).json["points"][0]["missing"]

    for outcome in outcomes:
        assert (
            "job 0-parrot: failed: TooManyErrorsError: 2 rows failed, as many as max_errors allows "
            "(those in flight then count too)" in outcome.lines
        )
        assert any(line.startswith("failed: ") for line in outcome.lines)
    resumed = made.run("resume")
    assert resumed.lines[0] == f"resuming {made.last.name}: {missing} of 6 results missing, 1 job"
    assert made.run("status", "--json").json["points"][0]["missing"] < missing


def test_max_errors_reached_by_the_last_row_fails_nothing(project: MakeProject) -> None:
    """Final errors alone end complete, with their count: there is nothing left that could be stopped."""
    made = project({})

    outcome = made.ran(
        "run", "sums.yaml", "engine.error=context_length", "engine.error_rate=1", "max_errors=6", code=3
    )

    assert "complete with 6 final errors: 6 requests, 0 tokens generated" in outcome.lines
    assert made.ran("status", "--json", code=3).json["jobs"][0]["state"] == "complete"
