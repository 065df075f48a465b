"""What commands say of a run that went another way than straight through."""

from __future__ import annotations

import os
import stat
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from runner.commands.status import print_list
from runner.outcome import run_outcome
from runner.runs import CANCELLED
from runner.start import jobs_of, launch_jobs
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer, answers

REFUSED = answers(b'{"error": {"message": "wrong key"}}', 401)


def test_resume_takes_a_cancelled_point_up_again(project: MakeProject) -> None:
    """Until then resume and status say that it is cancelled, what it lacks and how to have that."""
    made = project({})
    run = made.prepare("sampling.temperature=0,1")
    made.ran("cancel", "last", "1")
    made.ran("resume", code=1)
    told = f"point 1 is cancelled, 6 results missing; to take one up again: runner resume {run.name} 1"

    nothing = made.ran("resume", code=1)
    assert nothing.lines[0] == f"{run.name}: nothing is missing but 6 results of cancelled points"
    assert told in nothing.lines
    assert told in made.ran("status", code=1).lines
    assert (
        made.ran("resume", f"{run.name}/1").lines[0] == f"resuming {run.name}: 6 of 12 results missing, 1 job"
    )
    assert made.ran("status", "--json").json["state"] == "complete"


def test_resume_refuses_a_point_that_is_not_cancelled(project: MakeProject) -> None:
    """It would ask for all that is missing, which isn't what was typed."""
    made = project({})
    made.prepare("sampling.temperature=0,1")

    outcome = made.ran("resume", "last", "1-sampling.temperature=1", code=2)

    assert "point 1-sampling.temperature=1 of " in outcome.err
    assert "is not cancelled" in outcome.err


def test_resume_without_the_keys_variable_starts_nothing(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with run the message comes before any job; a cancelled point stays cancelled."""
    monkeypatch.setenv("LAB_KEY", "not-the-right-one")
    made = project({})
    run = made.prepare(
        "engine={kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1', api_key_env: LAB_KEY}"
    )
    made.ran("cancel", "last", "0")
    monkeypatch.delenv("LAB_KEY")

    outcome = made.ran("resume", "last", "0", code=2)

    assert "the environment variable LAB_KEY is not set\n    export LAB_KEY=..." in outcome.err
    assert not list(run.path.glob("jobs/*/1"))
    assert (run.point("0") / CANCELLED).exists()


def test_refusal_without_a_key_names_no_resume(project: MakeProject) -> None:
    """Only a new run can name the variable; and what was never answered has neither scores nor results."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=1")
    with HttpServer({"/v1/chat/completions": REFUSED}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}'}}"
        outcome = made.ran("run", "sums.yaml", engine, code=1)

    assert (
        outcome.lines[-1]
        == "fix:     the server requires an API key: start a new run with engine.api_key_env=VARIABLE"
    )
    assert not [line for line in outcome.lines if line.startswith("results:") or "exact_match" in line]


def test_reason_of_a_failed_job_is_told_once(project: MakeProject) -> None:
    """Progress and table name its kind; the whole of it stands below, its lines still apart."""
    made = project({})
    run = made.prepare("cluster=local", "engine.error=authentication", "engine.error_rate=1")
    launch_jobs(run, jobs_of(run))

    outcome = made.ran("status", "--watch", code=1)

    assert outcome.out.count("the fake was told to refuse the key") == 1
    assert "the fake was told" not in outcome.err
    assert "0-parrot: failed 0/6  AuthenticationError" in outcome.err


def test_status_of_a_cached_run_says_why_no_job_started(project: MakeProject) -> None:
    """In the words of the plan."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.ran("run", "sums.yaml")

    assert made.ran("status").lines[2].endswith("  there is nothing to ask")


def test_render_says_that_no_sampling_is_set(project: MakeProject) -> None:
    """In the words of the plan."""
    outcome = project({}).ran("render", "sums.yaml", "sampling={}")

    assert outcome.lines[-1] == "sampling  nothing is set: the engine decides"


def test_what_a_file_lays_over_another_is_no_news(project: MakeProject) -> None:
    """Only what the command line replaced is told."""
    made = project({"more.yaml": "extends: sums\nsampling: {temperature: 1}\nscorers: []\n"})

    assert "replaces" not in made.ran("plan", "more.yaml").out
    assert (
        "sampling.temperature: 2 (command line) replaces 1"
        in made.ran("plan", "more.yaml", "sampling.temperature=2").out
    )


def test_cache_that_may_only_be_read_is_told_before_asking(project: MakeProject) -> None:
    """The run is none the worse for it."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.last.cache.chmod(stat.S_IRUSR)
    if os.access(made.last.cache, os.W_OK):
        pytest.skip("this user may write whatever the mode says")

    outcome = made.ran("run", "sums.yaml", "sampling.temperature=1")

    warned = next(n for n, line in enumerate(outcome.lines) if "can't be written here" in line)
    assert warned < outcome.lines.index("complete: 6 requests, 6 tokens generated")


def test_silent_slurm_is_found_before_anything_is_written(
    project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last word is told with the way out, by the plan too."""
    for name in ("sbatch", "scontrol"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f"#!/bin/sh\necho '{name}: error: one' >&2; echo '{name}: fatal: two' >&2; exit 1\n"
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    made = project({})

    ran = made.ran("run", "sums.yaml", "cluster=slurm", code=2)
    planned = made.ran("plan", "sums.yaml", "cluster=slurm")

    assert "Slurm does not answer here: two\n    run this where jobs are submitted from" in ran.err
    assert "not to be run here: cluster=slurm: Slurm does not answer here: two" in planned.lines
    assert "nothing was run; where it can be run: runner run" in planned.out
    assert not (made.root / "runs").exists()


def _slurm_that_refuses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a Slurm on PATH that answers, and whose sbatch takes no job."""
    folder.mkdir()
    scripts = {
        "sbatch": "echo 'sbatch: error: invalid partition specified: nowhere' >&2; exit 1",
        "scontrol": "echo 'MaxArraySize            = 1001'",
        "squeue": "exit 0",
        "srun": "exit 0",
        "sacct": "exit 0",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_run_whose_jobs_slurm_refuses_leaves_no_folder(
    project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command, given again, begins anew; a run that was there before is kept by its resume."""
    _slurm_that_refuses(tmp_path / "bin", monkeypatch)
    made = project({})

    ran = made.ran("run", "sums.yaml", "cluster=slurm", code=2)
    left = (made.root / "runs" / "sums").exists()
    run = made.prepare("cluster=slurm")
    resumed = made.ran("resume", run.name, code=2)

    refused = "runner: sbatch refused the jobs: invalid partition specified: nowhere\n    no job was started"
    assert ran.err.endswith(f"{refused}, and no run is kept: fix that, then give the same command again\n")
    assert not left
    assert f"{refused}; the run is kept" in resumed.err
    assert run.path.exists()


def test_narrow_list_of_runs_keeps_their_names_whole(project: MakeProject) -> None:
    """Other columns go first."""
    made = project({})
    made.ran("run", "sums.yaml")
    printed = StringIO()

    print_list(Console(width=40, file=printed), [(made.last, run_outcome(made.last))])

    assert printed.getvalue().splitlines()[1].split() == [made.last.name, "complete"]
