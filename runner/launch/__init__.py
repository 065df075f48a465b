"""Starts jobs on Slurm, on this machine or in this process; knows how they stand; stops them."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from runner.errors import ConfigError, RunnerError, UserError
from runner.launch.attempts import next_attempt
from runner.launch.cancel import cancel
from runner.launch.gpus import check_devices, devices_of
from runner.launch.job_state import JobState
from runner.launch.preemption import INTERRUPTED, TOLD_TO_STOP
from runner.launch.processes import this_process
from runner.launch.query import job_states
from runner.launch.submission import (
    JobRequest,
    Submission,
    forget_cancellation,
    read_submission,
    submitit_folder,
    withdraw_submission,
    write_submission,
)
from runner.runs import CANCELLED
from runner.spec import Cluster, InlineCluster, SlurmCluster

__all__ = [
    "TOLD_TO_STOP",
    "JobRequest",
    "JobState",
    "StoppedJobsError",
    "cancel",
    "check_cluster",
    "job_states",
    "launch",
    "read_submission",
]


class StoppedJobsError(RunnerError):
    """Raised when an inline job was told to stop; those after it were not begun."""

    exit_code = INTERRUPTED


def launch(
    run_dir: Path, jobs: Sequence[JobRequest], cluster: Cluster, target: Callable[[str], int]
) -> tuple[int, ...]:
    """Start every job; each runs ``target(job folder)`` in a process that imports *target* by its name.

    Every submission is on disk before this returns. Only ``inline`` waits: it calls *target* here, one
    job after another, and returns what each call returned.

    Raises:
        UserError: the cluster can't run these jobs; nothing was started.
        RunnerError: it took some of them only; these are recorded.
        StoppedJobsError: an inline job was told to stop; those after it were not begun.
    """
    check_cluster(cluster, max((job.devices for job in jobs), default=0))
    if isinstance(cluster, InlineCluster):
        return _run_inline(jobs, target)
    submitit_folder(run_dir).mkdir(exist_ok=True)
    if isinstance(cluster, SlurmCluster):
        from runner.launch import slurm

        slurm.submit(run_dir, jobs, cluster, target)
    else:
        _submit_local(run_dir, jobs, target)
    return ()


def check_cluster(cluster: Cluster, devices: int) -> None:
    """Refuse what this machine can't launch; cheap, and called before anything is written.

    Args:
        cluster: where jobs would run.
        devices: GPUs that the largest of them takes.

    Raises:
        UserError: too few GPUs here, one that isn't to be used, flags of Slurm's that are not to be given,
            or no Slurm that answers.
    """
    if isinstance(cluster, SlurmCluster):
        from runner.launch.slurm import check_answers, check_slurm

        if faults := check_slurm(cluster):
            raise ConfigError(faults)
        if shutil.which("sbatch") is None:
            raise UserError(
                "cluster=slurm: there is no sbatch on PATH; run this where jobs are submitted from, "
                "or on this machine: cluster=local"
            )
        check_answers()
    elif devices:
        check_devices(devices, devices_of(cluster))


def _submit_local(run_dir: Path, jobs: Sequence[JobRequest], target: Callable[[str], int]) -> None:
    from runner.launch import local

    local.submit(run_dir, jobs, target)


def _run_inline(jobs: Sequence[JobRequest], target: Callable[[str], int]) -> tuple[int, ...]:
    here = this_process()
    for job in jobs:
        submission = Submission(
            kind="inline",
            id=job.name,
            submitted=time.time(),
            first_attempt=next_attempt(job.job_dir),
            process=here,
        )
        forget_cancellation(job.job_dir)
        write_submission(job.job_dir, submission)
    waiting, statuses = deque(jobs), []
    try:
        while waiting:
            job = waiting.popleft()
            if _is_cancelled(job):
                continue
            statuses.append(target(str(job.job_dir)))
            # A job that was cancelled by itself lets the others go on; the signal otherwise meant all.
            if statuses[-1] == INTERRUPTED and not _is_cancelled(job):
                raise StoppedJobsError(f"job {job.name} was told to stop")
    finally:
        for job in waiting:
            withdraw_submission(job.job_dir)
    return tuple(statuses)


def _is_cancelled(job: JobRequest) -> bool:
    return (job.job_dir / CANCELLED).exists()
