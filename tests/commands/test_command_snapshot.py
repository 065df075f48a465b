"""Counts of a run that goes on agree with each other."""

from __future__ import annotations

from runner.launch import cancel
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
