"""Counts of a run that goes on agree with each other."""

from __future__ import annotations

import json
import os
import signal

from runner.launch import cancel, job_states
from runner.launch.attempts import STATE_FILE
from runner.outcome import job_outcomes, run_outcome
from runner.start import jobs_of, launch_jobs
from tests.commands.conftest import MakeProject


def test_job_and_its_points_have_one_count(project: MakeProject) -> None:
    """However the worker goes on between the looks at its state and at its records."""
    made = project({})
    run = made.prepare("cluster=local", "engine.latency=0.4", "engine.concurrency=1")
    launch_jobs(run, jobs_of(run))

    counts = set()
    while any(job.state in {"pending", "running"} for job in job_outcomes(run)):
        outcome = run_outcome(run)
        if outcome.state == "running" and outcome.jobs[0].progress.total:
            (point,) = outcome.points
            counts.add((outcome.jobs[0].progress.done, point.ok + point.errors))
    cancel(run.path)

    assert len(counts) > 1
    assert all(done == answered for done, answered in counts)


def test_job_that_was_killed_has_the_count_of_its_points(project: MakeProject) -> None:
    """Its last word is older than its last answer: here by all but one."""
    made = project({})
    run = made.prepare("cluster=local", "engine.latency=0.4", "engine.concurrency=1")
    launch_jobs(run, jobs_of(run))
    while run_outcome(run).points[0].ok < 2:
        assert job_outcomes(run)[0].state in {"pending", "running"}
    (state,) = job_states(run.path).values()
    assert state.record is not None
    assert state.attempt is not None
    os.kill(state.record.pid, signal.SIGKILL)
    while job_outcomes(run)[0].state == "running":
        pass
    file = state.attempt.path / STATE_FILE
    written = json.loads(file.read_bytes())
    file.write_text(json.dumps({**written, "progress": {**written["progress"], "done": 1}}))

    outcome = run_outcome(run)

    assert outcome.jobs[0].state == "failed"
    assert outcome.jobs[0].progress.done == outcome.points[0].ok >= 2
    assert f" {outcome.points[0].ok}/6 " in made.ran("status", code=1).out
