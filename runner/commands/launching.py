"""Launches the jobs of a run and shows what comes of them; `run` and `resume` end here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from runner.commands.arguments import typed
from runner.commands.console import console, shown
from runner.commands.follow import follow
from runner.commands.report import print_outcome
from runner.errors import RunnerError, UserError
from runner.jobs import Job
from runner.launch import StoppedJobsError, job_states
from runner.outcome import run_outcome
from runner.runs import RunFolder
from runner.start import launch_jobs


class NothingLaunchedError(UserError):
    """Raised when the jobs of a run were refused, and no job of it was ever submitted.

    Attributes:
        reason: why, without how to go on.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def launch_new(run: RunFolder, jobs: Sequence[Job], held: ExitStack, *, wait: bool) -> int:
    """Do what `launch_and_show` does for a run that is new; one whose jobs are refused leaves no folder."""
    try:
        return launch_and_show(run, jobs, held, wait=wait)
    except NothingLaunchedError as error:
        run.remove()
        kept = "no job was started, and no run is kept: fix that, then give the same command again"
        raise UserError(f"{error.reason}\n    {kept}") from error


def launch_and_show(run: RunFolder, jobs: Sequence[Job], held: ExitStack, *, wait: bool) -> int:
    """Launch *jobs*, follow them, print what came of them, and return the exit code.

    Args:
        run: their run.
        jobs: what to launch.
        held: holds the right to launch; it is let go of once that is done.
        wait: follow jobs on Slurm too; otherwise what to type next is printed instead.
    """
    _warn_of_cache(run, jobs)

    def start() -> None:
        _launch(run, jobs)
        held.close()

    if not wait and all(job.points[0].experiment().cluster.kind == "slurm" for job in jobs):
        start()
        for verb in ("status", "logs", "cancel", "resume"):
            console().print(f"  runner {verb} {typed(run)}")
        return 0
    follow(run, {job.name for job in jobs}, start)
    return print_outcome(run_outcome(run))


def _warn_of_cache(run: RunFolder, jobs: Sequence[Job]) -> None:
    """Say before anything is asked that its answers can't be shared, where that is plain."""
    there = run.cache.exists()
    if os.access(run.runs, os.W_OK) and (not there or os.access(run.cache, os.W_OK)):
        return
    if any(point.experiment().fills_cache for job in jobs for point in job.points):
        console().print(
            f"warning: the cache {shown(run.cache)} can't be written here: the answers are kept in the run's "
            "own folder, and other runs don't find them until a command that can write it looks at this run",
            style="yellow",
        )


def _launch(run: RunFolder, jobs: Sequence[Job]) -> None:
    """Launch the jobs; where not one could be, the error says how to take the run up."""
    try:
        launch_jobs(run, jobs)
    except StoppedJobsError:
        raise
    except RunnerError as error:
        states = job_states(run.path).values()
        if any(state.active for state in states):
            raise
        message = (
            f"{error}\n    no job was started; the run is kept: fix that, then: runner resume {typed(run)}"
        )
        if not isinstance(error, UserError):
            raise RunnerError(message) from error
        if all(state.state == "not_submitted" for state in states):
            raise NothingLaunchedError(message, str(error)) from error
        raise UserError(message) from error
