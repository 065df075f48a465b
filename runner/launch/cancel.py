"""Stops jobs, wherever they run."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runner.errors import RunnerError
from runner.launch.job_state import JobState
from runner.launch.preemption import GRACE_SECONDS
from runner.launch.processes import is_running, this_process
from runner.launch.query import job_states
from runner.launch.slurm_commands import run_slurm
from runner.launch.submission import read_submission
from runner.runs import CANCELLED, STOPPED

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
    """Stop jobs of a run and return the names of those that were pending or running, and were signalled.

    How each of them ended since is for `job_states` to tell.

    Args:
        run_dir: the run.
        jobs: names; left out means all.
        mark: have them count as cancelled, not as interrupted.
        grace: seconds that a local worker has between SIGTERM and SIGKILL.

    Raises:
        RunnerError: Slurm did not take the cancellation, or a worker is on another machine.
    """
    active = [state for state in job_states(run_dir).values() if state.active]
    wanted = [state for state in active if jobs is None or state.name in jobs]
    elsewhere = [state for state in wanted if _is_elsewhere(state)]
    chosen = [state for state in wanted if state not in elsewhere]
    if mark:  # all of them first: whoever runs jobs one after another passes marked ones over
        for state in chosen:
            (run_dir / "jobs" / state.name / CANCELLED).touch()
        chosen = _with_late_workers(run_dir, chosen)
    else:
        for state in chosen:
            if state.slurm is None:  # of its own jobs Slurm tells how they ended
                (run_dir / "jobs" / state.name / STOPPED).touch()
    inline = [state for state in active if _is_inline(run_dir, state)]
    _stop_inline([state for state in inline if state in chosen], inline)
    try:
        _stop_slurm([state for state in chosen if state.slurm is not None])
    finally:
        _stop_local([s for s in chosen if s.slurm is None and s not in inline], grace)
    if elsewhere:
        names = ", ".join(f"{state.name} on {state.process.host}" for state in elsewhere if state.process)
        raise RunnerError(f"workers of other machines can be stopped only there: {names}")
    return [state.name for state in chosen]


def _with_late_workers(run_dir: Path, chosen: Sequence[JobState]) -> list[JobState]:
    """Return the jobs with the workers that came up meanwhile; one that comes later heeds its mark."""
    if all(state.process or state.slurm is not None for state in chosen):
        return list(chosen)
    now = job_states(run_dir)
    return [state if state.process else replace(state, process=now[state.name].process) for state in chosen]


def _is_elsewhere(state: JobState) -> bool:
    return state.process is not None and is_running(state.process) is None


def _is_inline(run_dir: Path, state: JobState) -> bool:
    submission = read_submission(run_dir / "jobs" / state.name)
    return submission is not None and submission.kind == "inline"


def _stop_inline(chosen: Sequence[JobState], active: Sequence[JobState]) -> None:
    """Tell the command that runs its jobs itself to stop the present one, if that is among the chosen."""
    if not chosen or (len(chosen) < len(active) and not any(state.record for state in chosen)):
        return
    for worker in {state.process for state in chosen if state.process} - {this_process()}:
        if is_running(worker):
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)


def _stop_slurm(chosen: Sequence[JobState]) -> None:
    if ids := [state.slurm for state in chosen if state.slurm]:
        run_slurm(["scancel", "--quiet", *ids])
    if unknown := [state for state in chosen if not state.slurm]:
        names = ", ".join(state.name for state in unknown)
        raise RunnerError(f"{names} may have been submitted, which only Slurm knows; {unknown[0].reason}")


def _stop_local(chosen: Sequence[JobState], grace: float) -> None:
    if workers := [state.process for state in chosen if state.process]:
        from runner.launch.local import stop

        stop(workers, grace)
