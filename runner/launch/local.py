"""Starts jobs as processes on this machine, and stops them."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from submitit import Job, LocalExecutor, LocalJob
from submitit.core.utils import DelayedSubmission

from runner.errors import RunnerError
from runner.launch.attempts import next_attempt
from runner.launch.processes import Process, find_process, is_running, session_members
from runner.launch.submission import (
    JobRequest,
    Submission,
    forget_cancellation,
    submitit_folder,
    write_submission,
)
from runner.launch.worker_lock import LOCK_FD, keep_lock, take_lock

_POLL_SECONDS = 0.05


class _SessionExecutor(LocalExecutor):
    """Starts one worker directly, in a session of its own, which inherits a lock.

    submitit's local controller would stand between: it shares the terminal's process group, answers
    Ctrl-C with SIGKILL after a second, polls 24 times a second, and sets CUDA_VISIBLE_DEVICES.
    """

    def __init__(self, folder: Path, job_id: str, lock: int) -> None:
        # -P: the worker must not import what happens to lie in the user's current folder
        super().__init__(folder, python=f"{shlex.quote(sys.executable)} -P")
        self.job_id = job_id
        self.lock = lock
        self.process: Process | None = None

    def _internal_process_submissions(self, delayed_submissions: list[DelayedSubmission]) -> list[Job[Any]]:
        (delayed,) = delayed_submissions
        job: LocalJob[Any] = LocalJob(self.folder, self.job_id)
        # Before the worker starts, where submitit does it after: the submitter may be killed in between.
        pickle = self.folder / f"{self.job_id}.pkl"
        delayed.dump(pickle)
        job.paths.move_temporary_file(pickle, "submitted_pickle")
        self._start(job)
        return [job]

    def _start(self, job: LocalJob[Any]) -> None:
        names = {"JOB_ID": self.job_id, "NTASKS": "1", "JOB_NUM_NODES": "1"}
        names |= dict.fromkeys(("NODEID", "GLOBALID", "LOCALID"), "0")
        environment = {f"SUBMITIT_LOCAL_{name}": value for name, value in names.items()}
        output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            sys.executable,
            shlex.split(self._submitit_command_str),
            {**os.environ, **environment, "SUBMITIT_EXECUTOR": "local"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, self.lock, LOCK_FD),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(job.paths.stdout), output, 0o666),
                (os.POSIX_SPAWN_OPEN, 2, str(job.paths.stderr), output, 0o666),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
        )
        self.process = find_process(pid)


def submit(run_dir: Path, jobs: Sequence[JobRequest], target: Callable[[str], int]) -> None:
    """Start a process for each job; they outlive this one and share the GPUs out among themselves.

    Raises:
        RunnerError: a job can't be started, or its last worker is still there; those before it run.
    """
    for job in jobs:
        forget_cancellation(job.job_dir)  # before the lock, from which on a job can be cancelled
        try:
            lock = take_lock(job.job_dir)
            try:
                _submit(run_dir, job, target, lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise RunnerError(f"job {job.name} could not be started: {error}") from error


def _submit(run_dir: Path, job: JobRequest, target: Callable[[str], int], lock: int) -> None:
    first = next_attempt(job.job_dir)
    executor = _SessionExecutor(submitit_folder(run_dir), f"{job.name}-{first}", lock)
    executor.submit(_work, target, str(job.job_dir))
    submission = Submission(
        kind="local",
        id=executor.job_id,
        submitted=time.time(),
        first_attempt=first,
        process=executor.process,
    )
    write_submission(job.job_dir, submission)


def _work(target: Callable[[str], int], job_dir: str) -> int:
    """Be the worker."""
    keep_lock()
    return target(job_dir)


def stop(workers: Sequence[Process], grace: float) -> None:
    """Stop workers that lead a session of their own: SIGTERM to their group, SIGKILL after *grace* seconds.

    Whatever their sessions hold, model servers included, is killed with them. A process that merely has
    the same pid is left alone.
    """
    alive = [worker for worker in workers if is_running(worker)]
    left = _members(alive)  # before the signal, since only a worker that lives tells its session
    for worker in alive:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = {process for process in left | _members(alive) if is_running(process)}
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _members(workers: Iterable[Process]) -> set[Process]:
    """Return the processes of the workers' sessions, as long as the session's leader is the worker."""
    return {member for worker in workers if is_running(worker) for member in session_members(worker.pid)}
