"""What is told of Slurm jobs where Slurm itself gives no answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runner.errors import RunnerError, UserError
from runner.launch import cancel, job_states, launch
from runner.launch.attempts import State, WorkerState, begin_attempt, write_state
from runner.launch.slurm import check_answers
from runner.launch.submission import Intent, Submission, write_intent, write_submission
from runner.spec import LocalCluster
from tests.launch.launch_kit import make_run, requests
from tests.launch.launch_worker import work


@pytest.fixture(autouse=True)
def no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take Slurm's commands off the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))


def _submitted(tmp_path: Path, state: WorkerState) -> Path:
    """Return a run whose one job is in Slurm, by its worker's word in *state*."""
    run = make_run(tmp_path, {"a": {}})
    folder = run / "jobs" / "a"
    write_submission(folder, Submission(kind="slurm", id="7_0", submitted=time.time(), first_attempt=1))
    write_state(begin_attempt(folder), State.begin().end(state, 130, "its own word"))
    return run


def test_interrupted_job_may_live_while_slurm_is_silent(tmp_path: Path) -> None:
    """A preempted job is started again by Slurm; only Slurm could say that it wasn't."""
    state = job_states(_submitted(tmp_path, "interrupted"))["a"]

    assert state.active
    assert state.reason.startswith("Slurm does not answer: there is no squeue")


def test_failed_job_has_ended_although_slurm_is_silent(tmp_path: Path) -> None:
    """Slurm starts nothing again whose worker came to an end by itself."""
    state = job_states(_submitted(tmp_path, "failed"))["a"]

    assert (state.state, state.reason) == ("failed", "its own word")


def test_intent_without_a_submission_may_live_while_slurm_is_silent(tmp_path: Path) -> None:
    """The submitter was killed on its way: the job counts as pending, and can't be cancelled unseen."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    write_intent(run / "jobs" / "a", Intent(task=0, submitted=time.time(), first_attempt=1))
    states = job_states(run)

    assert (states["a"].state, states["b"].state) == ("pending", "not_submitted")
    with pytest.raises(RunnerError, match="a may have been submitted, which only Slurm knows"):
        cancel(run)


def test_silent_slurm_does_not_keep_local_jobs_from_being_stopped(tmp_path: Path) -> None:
    """One run may have jobs in both; the error comes when all was done that can be."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    write_intent(run / "jobs" / "a", Intent(task=0, submitted=time.time(), first_attempt=1))
    launch(run, [one for one in requests(run) if one.name == "b"], LocalCluster(), work)
    with pytest.raises(RunnerError, match="a may have been submitted"):
        cancel(run)

    assert job_states(run)["b"].state == "cancelled"


def test_configuration_that_is_not_there_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's own commands look for it for a minute."""
    conf = tmp_path / "slurm.conf"
    monkeypatch.setenv("SLURM_CONF", str(conf))

    with pytest.raises(UserError, match=f"does not answer here: SLURM_CONF names {conf}, which is not there"):
        check_answers()
