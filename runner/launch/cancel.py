"""Stops jobs, wherever they run."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from runner.launch.processes import Process, is_running
from runner.launch.query import job_states
from runner.launch.slurm_commands import run_slurm
from runner.launch.submission import CANCELLED_FILE, read_submission

GRACE_SECONDS = 10.0


def cancel(
    run_dir: Path,
    jobs: Collection[str] | None = None,
    *,
    mark: bool = True,
    grace: float = GRACE_SECONDS,
) -> list[str]:
    """Stop jobs of a run and return the names of those that were pending or running.

    Args:
        run_dir: the run.
        jobs: names; left out means all.
        mark: have them count as cancelled, not as interrupted.
        grace: seconds that a local worker has between SIGTERM and SIGKILL.

    Raises:
        RunnerError: Slurm did not take the cancellation.
    """
    active = [
        state
        for state in job_states(run_dir).values()
        if state.active and (jobs is None or state.name in jobs)
    ]
    workers: list[Process] = []
    slurm: list[str] = []
    for state in active:
        job_dir = run_dir / "jobs" / state.name
        if mark:
            (job_dir / CANCELLED_FILE).touch()
        submission = read_submission(job_dir)
        worker = state.record.process if state.record else submission.process if submission else None
        if state.slurm:
            slurm.append(state.slurm)
        elif submission and submission.kind == "inline":
            _interrupt(worker)
        elif worker:
            workers.append(worker)
    if slurm:
        run_slurm(["scancel", "--quiet", *slurm])
    if workers:
        _stop(workers, grace)
    return [state.name for state in active]


def _interrupt(worker: Process | None) -> None:
    """Ask the command that runs its jobs itself to stop."""
    if worker and is_running(worker):
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGTERM)


def _stop(workers: list[Process], grace: float) -> None:
    from runner.launch.local import stop

    stop(workers, grace)
