"""A job has one worker at a time, whoever is killed when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.launch import cancel, job_states, launch
from runner.launch.flocks import try_flock
from runner.launch.processes import is_running
from runner.launch.worker_lock import LOCK_FD, LOCK_FILE, find_holder, locked_for, take_lock
from runner.spec import LocalCluster
from tests.launch.launch_kit import ROOT, ended, make_run, requests, settle, submit_and_die, wait_for
from tests.launch.launch_worker import work


def test_worker_of_a_killed_submitter_is_known_from_its_first_moment(tmp_path: Path) -> None:
    """Killed between the worker's start and the record of it: the job counts as active, and ends complete."""
    run = make_run(tmp_path, {"a": {}})
    submit_and_die(run, "local", "submission.json")
    first = job_states(run)["a"]
    (run / "jobs" / "go").touch()
    final = settle(run, ended)["a"]

    assert first.active
    assert first.process is not None
    assert (final.state, final.attempt and final.attempt.number) == ("complete", 1)


def test_second_submission_by_a_killed_submitter_is_active(tmp_path: Path) -> None:
    """An earlier submission and its final word don't speak for a worker that nobody recorded."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), LocalCluster(), work)
    settle(run, lambda s: s["a"].reason == "asking")
    cancel(run)
    submit_and_die(run, "local", "submission.json")
    second = job_states(run)["a"]
    (run / "jobs" / "go").touch()
    final = settle(run, ended)["a"]

    assert second.active
    assert (final.state, final.attempt and final.attempt.number) == ("complete", 2)


def test_cancel_stops_a_worker_that_nobody_recorded(tmp_path: Path) -> None:
    """The process is found by the lock that it holds."""
    run = make_run(tmp_path, {"a": {}})
    submit_and_die(run, "local", "submission.json")
    worker = find_holder(run / "jobs" / "a")
    stopped = cancel(run)

    assert stopped == ["a"]
    assert worker is not None
    assert not is_running(worker)
    assert not job_states(run)["a"].active


def test_submitter_killed_before_the_worker_leaves_nothing_behind(tmp_path: Path) -> None:
    """The lock dies with it, and the job can be submitted at once."""
    run = make_run(tmp_path, {"a": {"seconds": 0}})
    submit_and_die(run, "local", "_submitted.pkl")
    before = job_states(run)["a"].state
    launch(run, requests(run), LocalCluster(), work)

    assert before == "not_submitted"
    assert settle(run, ended)["a"].state == "complete"


def test_job_with_a_worker_gets_no_second_one(tmp_path: Path) -> None:
    """The lock is the worker's until it is gone; the message names the process."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), LocalCluster(), work)
    worker = job_states(run)["a"].process
    assert worker is not None
    with pytest.raises(RunnerError, match=f"job a: process {worker.pid} still works on it"):
        take_lock(run / "jobs" / "a", 0)


_PARENT = """
import os, subprocess, time
from runner.launch.worker_lock import keep_lock
keep_lock()
started = subprocess.Popen(["sleep", "60"], close_fds=False)
forked = os.fork()
if forked:
    print(started.pid, forked, flush=True)
time.sleep(60)
"""


def test_lock_is_free_although_a_killed_workers_children_live(tmp_path: Path) -> None:
    """Neither what it started nor what it forked has a copy."""
    fd = take_lock(tmp_path)
    os.dup2(fd, LOCK_FD)
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, pass_fds=[LOCK_FD], cwd=ROOT
    ) as worker:
        os.close(fd)
        os.close(LOCK_FD)
        assert worker.stdout is not None
        children = [int(word) for word in worker.stdout.readline().split()]
        before = locked_for(tmp_path)
        worker.kill()
        wait_for(lambda: locked_for(tmp_path) is None)
        alive = [Path(f"/proc/{pid}").exists() for pid in children]
        for pid in children:
            os.kill(pid, signal.SIGKILL)

    assert before == 1
    assert alive == [True, True]


def test_last_word_stands_while_its_worker_dies(tmp_path: Path) -> None:
    """What still holds the lock then shows no process, and is no job that starts anew."""
    run = make_run(tmp_path, {"a": {"seconds": 0}})
    launch(run, requests(run), LocalCluster(), work)
    settle(run, ended)
    with (run / "jobs" / "a" / LOCK_FILE).open() as dying:
        wait_for(lambda: try_flock(dying.fileno()))
        state = job_states(run)["a"]

    assert (state.state, state.attempt and state.attempt.number) == ("complete", 1)


def test_job_that_ended_before_is_pending_once_it_is_started_again(tmp_path: Path) -> None:
    """The lock was taken for a later attempt than the one whose last word there is."""
    run = make_run(tmp_path, {"a": {"seconds": 0}})
    launch(run, requests(run), LocalCluster(), work)
    settle(run, ended)
    lock = take_lock(run / "jobs" / "a")
    state = job_states(run)["a"]
    os.close(lock)

    assert (state.state, state.reason) == ("pending", "starting")
    assert job_states(run)["a"].state == "complete"
