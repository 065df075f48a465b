"""Commands that stop, or are stopped, while their jobs are in Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.launch import cancel, job_states, launch
from runner.launch.slurm_answer import array_tasks
from runner.launch.submission import submitit_folder
from runner.spec import SlurmCluster
from tests.commands.conftest import MakeProject, project
from tests.launch.launch_kit import count, ended, make_run, requests, settle, submit_and_die, wait_for
from tests.launch.launch_worker import work

__all__ = ["project"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_of_a_killed_submitter_are_found(tmp_path: Path, jobs: int) -> None:
    """No file names them, yet they are known and can be stopped; a new submission then speaks for itself."""
    run = make_run(tmp_path, {f"j{number}": {} for number in range(jobs)})
    submit_and_die(run, "slurm", "submission.json")
    found = job_states(run)
    stopped = cancel(run)
    states = settle(run, ended)
    (run / "jobs" / "go").touch()
    launch(run, requests(run), SlurmCluster(), work)
    final = settle(run, ended)

    assert all(state.active and state.slurm for state in found.values())
    assert len({state.slurm for state in found.values()}) == len(stopped) == jobs
    assert count(states, "complete") == 0
    assert count(final, "complete") == jobs


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_without_anything_to_run_are_not_waited_for(tmp_path: Path, jobs: int) -> None:
    """Killed before submitit said what to run: they don't count, and a new submission clears them away."""
    run = make_run(tmp_path, {f"j{number}": {} for number in range(jobs)})
    submit_and_die(run, "slurm", "_submitted.pkl")
    dead = {job_id for _, job_id in array_tasks(submitit_folder(run))}
    found = job_states(run)
    (run / "jobs" / "go").touch()
    launch(run, requests(run), SlurmCluster(), work)
    final = settle(run, ended)

    assert len(dead) == jobs
    assert {state.state for state in found.values()} == {"not_submitted"}
    assert count(final, "complete") == jobs
    assert not dead & {job_id for _, job_id in array_tasks(submitit_folder(run))}


def test_ctrl_c_leaves_slurm_jobs_running(project: MakeProject) -> None:
    """A command that waits is only looking on: the message says how to follow and how to stop."""
    made = project({})
    words = ["run", "sums.yaml", "cluster=slurm", "engine.latency=60", "--wait"]
    with subprocess.Popen(
        [sys.executable, "-m", "runner", *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for(lambda: any(made.root.glob("runs/sums/*/jobs/*/1/state.json")))
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]
    run = made.last

    assert process.returncode == 130, said
    assert f"1 Slurm job\n    follow: runner status {run.name} --watch" in said
    assert f"    stop: runner cancel {run.name}" in said
    assert job_states(run.path)["0-parrot"].state == "running"


def test_refused_submission_leaves_no_run(project: MakeProject) -> None:
    """Nothing was launched: the same command, given again, begins anew."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "cluster=slurm", "cluster.partition=nowhere", code=2)

    assert "sbatch refused the jobs:" in outcome.err
    assert "no job was started, and no run is kept" in outcome.err
    assert not any(line.startswith("  runner ") for line in outcome.lines)
    assert not (made.root / "runs" / "sums").exists()


def test_secret_that_a_failed_setup_prints_is_masked_where_it_is_shown(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker started that could have masked it on disk: status and logs do so."""
    made = project({})
    monkeypatch.setenv("SERVICE_KEY", "hunter22-hunter22")
    setup = "cluster.setup=['echo no $SERVICE_KEY >&2; exit 7']"
    made.ran("run", "sums.yaml", "cluster=slurm", setup)
    settle(made.last.path, ended)
    told = [made.ran("status", code=1).out, made.ran("logs").out]

    assert all("no ***" in text for text in told), told
    assert not any("hunter22" in text for text in told)
