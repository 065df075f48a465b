"""Stops jobs, wherever they run."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from runner.errors import RunnerError
from runner.launch.preemption import GRACE_SECONDS
from runner.launch.processes import is_running, this_process
from runner.launch.query import JobState, job_states
from runner.launch.slurm_commands import run_slurm
from runner.launch.submission import Submission, read_submission
from runner.runs import CANCELLED

KILL_SECONDS = 2 * GRACE_SECONDS
"""When a local worker that was told to stop is killed: well after its own grace, so that it can say how
it ended."""


def cancel(
    run_dir: Path,
    jobs: Collection[str] | None = None,
    *,
    mark: bool = True,
    grace: float = KILL_SECONDS,
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
    active = [state for state in job_states(run_dir).values() if state.active]
    chosen = [state for state in active if jobs is None or state.name in jobs]
    if mark:  # all of them first: whoever runs jobs one after another passes marked ones over
        for state in chosen:
            (run_dir / "jobs" / state.name / CANCELLED).touch()
    known = {state.name: read_submission(run_dir / "jobs" / state.name) for state in active}
    inline = [state for state in active if _is_inline(known[state.name])]
    _stop_inline([state for state in inline if state in chosen], inline, known)
    _stop_slurm([state for state in chosen if state.slurm is not None])
    _stop_local([s for s in chosen if s.slurm is None and s not in inline], known, grace)
    return [state.name for state in chosen]


def _is_inline(submission: Submission | None) -> bool:
    return submission is not None and submission.kind == "inline"


def _stop_inline(
    chosen: Sequence[JobState], active: Sequence[JobState], known: dict[str, Submission | None]
) -> None:
    """Tell the command that runs its jobs itself to stop the present one, if that is among the chosen."""
    if not chosen or (len(chosen) < len(active) and not any(state.record for state in chosen)):
        return
    workers = {s.process for state in chosen if (s := known[state.name]) and s.process}
    for worker in workers - {this_process()}:
        if is_running(worker):
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)


def _stop_slurm(chosen: Sequence[JobState]) -> None:
    if ids := [state.slurm for state in chosen if state.slurm]:
        run_slurm(["scancel", "--quiet", *ids])
    if unknown := [state for state in chosen if not state.slurm]:
        names = ", ".join(state.name for state in unknown)
        raise RunnerError(f"{names} may have been submitted, which only Slurm knows; {unknown[0].reason}")


def _stop_local(chosen: Sequence[JobState], known: dict[str, Submission | None], grace: float) -> None:
    workers = []
    for state in chosen:
        submission = known[state.name]
        worker = state.record.process if state.record else submission.process if submission else None
        if worker:
            workers.append(worker)
    if workers:
        from runner.launch.local import stop

        stop(workers, grace)
