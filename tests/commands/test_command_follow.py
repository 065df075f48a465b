"""What a command shows of jobs under way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from runner.commands.lines import describe
from runner.commands.planned import print_notes
from runner.config import compose
from runner.launch import job_states
from runner.outcome import JobOutcome
from runner.plan import make_plan
from runner.progress import Progress
from runner.start import jobs_of, launch_jobs
from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING
from tests.http_server import HttpServer, resets
from tests.launch.launch_kit import wait_for


def test_retries_are_told_while_they_last(project: MakeProject) -> None:
    """Why, and which attempt comes next, before the run has failed."""
    with HttpServer({"/v1/chat/completions": resets}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', max_attempts: 2}}"
        told = project({}).ran("run", "sums.yaml", engine, code=1).err.splitlines()

    retrying = next(
        number for number, line in enumerate(told) if "retrying (attempt 2 of 2): http://" in line
    )
    failed = next(number for number, line in enumerate(told) if line.startswith("0-parrot: failed"))
    assert retrying < failed
    assert "Connection reset by peer" in told[retrying]


def test_trouble_is_told_beside_the_rates_once_something_was_answered() -> None:
    """Before that a rate would say nothing; a bar has no room for the reason."""
    trouble = "retrying (attempt 2 of 6): HTTP 429: slow down"
    stuck = Progress(total=9, requests=4, started=1.0, trouble=trouble)
    going = Progress(total=9, requests=4, completion_tokens=8, started=1.0, trouble=trouble)

    assert describe(JobOutcome("j", "running", "asking", stuck, stuck)) == trouble
    assert describe(JobOutcome("j", "running", "asking", going, going)).endswith(f"tokens/s, {trouble}")
    assert (
        describe(JobOutcome("j", "running", "asking", stuck, stuck), brief=True)
        == "retrying (attempt 2 of 6)"
    )


def test_resume_does_not_show_how_its_jobs_stood_before(project: MakeProject) -> None:
    """The end of the last attempt would read as if the resume had ended."""
    made = project({})
    made.ran("run", "sums.yaml", *FAILING, code=3)

    outcome = made.ran("resume", code=3)

    assert outcome.lines[0].startswith(f"resuming {made.last.name}: ")
    assert len([line for line in outcome.err.splitlines() if line.startswith("0-parrot: incomplete")]) == 1


def test_resume_counts_no_cancelled_point(project: MakeProject) -> None:
    """What it takes up is what it will ask."""
    made = project({})
    run = made.prepare("sampling.temperature=0,1")
    made.ran("cancel", f"{run.name}/1")

    assert made.ran("resume", code=1).lines[0] == f"resuming {run.name}: 6 of 6 results missing, 1 job"


def test_logs_of_a_job_that_writes_none_say_what_is_followed(project: MakeProject) -> None:
    """Once, beside the log; and that the job has ended."""
    made = project({})
    run = made.prepare("cluster=local", "engine.latency=0.6", "engine.concurrency=1")
    launch_jobs(run, jobs_of(run))
    wait_for(lambda: job_states(run.path)["0-parrot"].attempt is not None)

    outcome = made.ran("logs", "-f")

    folder = (run.job("0-parrot") / "1").relative_to(made.root)
    assert outcome.out == ""
    assert outcome.err.splitlines() == [
        f"0-parrot: following {folder}/*.log; nothing is written yet",
        "0-parrot: complete",
    ]


def test_notes_take_a_line_each_on_a_terminal(
    project: MakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut where the terminal ends, one for each key that a sweep replaces; --verbose has them all."""
    made = project({})
    long = "sampling={temperature: 0.5, max_tokens: 10, top_p: 0.9, seed: 9, stop: [a, b]}"
    plan = make_plan(compose("sums.yaml", [long, "samples=2", "sampling.seed=1,2,3"], multirun=True))

    capsys.readouterr()
    print_notes(Console(width=60, markup=False), plan)
    lines = capsys.readouterr().out.splitlines()
    whole = made.ran("plan", "sums.yaml", "--verbose", long, "-m", "sampling.seed=1,2,3").lines

    assert [len(line) <= 60 for line in lines] == [True] * len(lines)
    assert lines[0].endswith("...")
    assert [line for line in lines if line.endswith("(and 2 more)")] == lines[-1:]
    assert len([line for line in whole if line.startswith("  sampling.seed: ")]) == 3


def test_notes_are_kept_whole_in_the_run(project: MakeProject) -> None:
    """What a terminal cuts stands in resolved.json."""
    made = project({})
    made.ran("run", "sums.yaml", "sampling.temperature=1")

    resolved = json.loads(Path(made.last.path / "resolved.json").read_text())

    assert resolved["points"][0]["notes"] == [
        "sampling.temperature: 1 (command line) replaces 0 (sums.yaml:5)"
    ]
