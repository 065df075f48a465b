from __future__ import annotations

from pathlib import Path

import pytest

from runner.launch import StoppedJobsError, cancel, job_states, launch
from runner.launch.attempts import State, begin_attempt, write_state
from runner.runs import CANCELLED
from runner.spec import InlineCluster
from tests.launch.launch_kit import make_run, requests


def _stopped(job_dir: str) -> int:
    """Be a job that was told to stop."""
    attempt = begin_attempt(Path(job_dir))
    write_state(attempt, State.begin().end("interrupted", 130, "told to stop"))
    return 130


def test_inline_jobs_after_an_interrupted_one_are_not_begun(tmp_path: Path) -> None:
    """One Ctrl-C means the whole command; what was not begun counts as not submitted, not as failed."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    with pytest.raises(StoppedJobsError, match="job a was told to stop"):
        launch(run, requests(run), InlineCluster(), _stopped)
    states = job_states(run)

    assert {name: state.state for name, state in states.items()} == {"a": "interrupted", "b": "not_submitted"}


def test_inline_jobs_that_were_cancelled_are_passed_over(tmp_path: Path) -> None:
    """A cancelled job lets the uncancelled ones go on, whether it had begun or not."""
    run = make_run(tmp_path, {"a": {}, "b": {}, "c": {}})
    begun: list[str] = []

    def work(job_dir: str) -> int:
        begun.append(Path(job_dir).name)
        if begun == ["a"]:
            for name in ("a", "b"):
                (run / "jobs" / name / CANCELLED).touch()
            return _stopped(job_dir)
        return 0

    assert launch(run, requests(run), InlineCluster(), work) == (130, 0)
    assert begun == ["a", "c"]
    assert [job_states(run)[name].state for name in ("a", "b")] == ["cancelled", "cancelled"]


def test_cancel_never_signals_the_command_that_calls_it(tmp_path: Path) -> None:
    """A command that stops its own inline jobs marks them and lives on."""
    run = make_run(tmp_path, {"a": {}})
    named: list[str] = []

    def work(job_dir: str) -> int:
        write_state(begin_attempt(Path(job_dir)), State.begin())
        named.extend(cancel(run))
        return 0

    assert launch(run, requests(run), InlineCluster(), work) == (0,)
    assert named == ["a"]
