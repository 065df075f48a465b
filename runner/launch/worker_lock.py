"""One worker a job on this machine: a lock that is held from before the worker starts until it is gone.

The submitter takes it and the worker inherits it, so that there is no moment at which a kill of either
would leave a worker that nobody knows of. The file says which attempt it was taken for: a worker that has
said its last word holds it a while longer, and is told from one that is about to start. It is an flock:
across hosts it holds only where the file system passes flocks on. Slurm's jobs have none, since its queue
says what lives, and a node that is gone may keep its locks on a network file system for minutes.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from runner.errors import RunnerError
from runner.launch.attempts import next_attempt
from runner.launch.flocks import try_flock
from runner.launch.processes import Process, find_process

LOCK_FILE = ".worker.lock"

LOCK_FD = 60
"""The lock's descriptor in every worker: rarely a submitter's own, and below a limit of 64 open files."""

_SECONDS = 15.0
"""How long a worker that has said its last word may take to be gone."""
_POLL_SECONDS = 0.05
_DIGITS = 20


def take_lock(job_dir: Path, seconds: float = _SECONDS) -> int:
    """Take a job's lock for a worker to inherit, and return its descriptor, which is the caller's to close.

    Raises:
        RunnerError: a worker still holds it after so many seconds.
    """
    fd = os.open(job_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + seconds
    while not try_flock(fd):
        if time.monotonic() > deadline:
            os.close(fd)
            worker = find_holder(job_dir)
            named = f"process {worker.pid}" if worker else "a process"
            raise RunnerError(f"job {job_dir.name}: {named} still works on it; stop it, then resume the run")
        time.sleep(_POLL_SECONDS)
    text = b"%d" % next_attempt(job_dir)
    os.pwrite(fd, text, 0)
    os.truncate(fd, len(text))
    return fd


def keep_lock() -> None:
    """In a worker: hold the inherited lock to the end, and keep it from every child."""
    os.set_inheritable(LOCK_FD, False)  # noqa: FBT003 - it takes no keyword
    os.register_at_fork(after_in_child=lambda: os.close(LOCK_FD))


def locked_for(job_dir: Path) -> int | None:
    """Return the attempt for which a worker of the job lives or is about to be started; None without one."""
    try:
        fd = os.open(job_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if try_flock(fd, fcntl.LOCK_SH):
            return None
        return int(os.pread(fd, _DIGITS, 0) or 0)
    finally:
        os.close(fd)


def find_holder(job_dir: Path) -> Process | None:
    """Return the worker that holds a job's lock, where this host can see it."""
    lock = str((job_dir / LOCK_FILE).resolve())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(FileNotFoundError, PermissionError, ProcessLookupError):
            if str((entry / "fd" / str(LOCK_FD)).readlink()) == lock:
                return find_process(int(entry.name))
    return None
