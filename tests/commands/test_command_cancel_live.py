"""Cancelling without naming a run."""

from __future__ import annotations

from runner.start import jobs_of, launch_jobs
from tests.commands.conftest import MakeProject


def test_nothing_live_is_said_with_the_folders(project: MakeProject) -> None:
    """A run that has ended is not taken."""
    made = project({})
    made.ran("run", "sums.yaml")

    refused = made.ran("cancel", code=2)

    assert "nothing to cancel: no run in runs has pending or running jobs" in refused.err


def test_only_live_run_is_taken_and_several_are_listed(project: MakeProject) -> None:
    """Each is cancelled by the command that the list shows."""
    made = project({})
    runs = [made.prepare("cluster=local", "engine.latency=30") for _ in range(2)]
    for run in runs:
        launch_jobs(run, jobs_of(run))

    refused = made.ran("cancel", code=2)
    assert all(f"runner cancel {run.name}" in refused.err for run in runs)

    made.ran("cancel", runs[0].name)
    taken = made.ran("cancel")
    assert f"cancelled 1 job of {runs[1].name}" in taken.out
    assert made.ran("cancel", code=2).err.count("nothing to cancel") == 1
