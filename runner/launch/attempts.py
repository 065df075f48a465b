"""What a worker keeps on disk about one time that its job ran."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeAlias

import msgspec

from runner.errors import one_line
from runner.launch.processes import Process, this_process
from runner.runs import read_file, write_file
from runner.values import Json

STATE_FILE = "state.json"

WorkerState: TypeAlias = Literal["running", "complete", "incomplete", "failed", "cancelled", "interrupted"]
"""What a worker says of itself; every word but the first is final."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a job ran: a folder that nobody else writes into, and its number from 1."""

    path: Path
    number: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt stands, by its worker's own word.

    Attributes:
        slurm: job id as Slurm's commands take it, ``123`` or ``123_4``.
        updated: Unix time when this was written.
        error: why it ended, in one line.
        progress: counts of `runner.progress.Progress`.
    """

    state: WorkerState
    pid: int
    start_time: int
    boot_id: str
    host: str
    started: float
    updated: float
    slurm: str | None = None
    ended: float | None = None
    exit_code: int | None = None
    error: str = ""
    progress: dict[str, Json] = msgspec.field(default_factory=dict)

    @classmethod
    def begin(cls) -> Self:
        """Return the state of an attempt that the calling process starts now."""
        process, now = this_process(), time.time()
        return cls(
            state="running",
            pid=process.pid,
            start_time=process.start_time,
            boot_id=process.boot_id,
            host=process.host,
            started=now,
            updated=now,
            slurm=slurm_job_id(),
        )

    def at(self, progress: dict[str, Json]) -> Self:
        """Return this state with new counts."""
        return msgspec.structs.replace(self, progress=progress, updated=time.time())

    def end(self, state: WorkerState, exit_code: int, error: str = "") -> Self:
        """Return the final state."""
        now = time.time()
        return msgspec.structs.replace(
            self, state=state, exit_code=exit_code, error=one_line(error), updated=now, ended=now
        )

    @property
    def process(self) -> Process:
        """The worker."""
        return Process(self.pid, self.start_time, self.boot_id, self.host)


def slurm_job_id() -> str | None:
    """Return the id of the Slurm job that submitit started this process for, if one did."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return None
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def attempts(job_dir: Path) -> list[Attempt]:
    """Return the attempts of a job, oldest first."""
    if not job_dir.is_dir():
        return []
    numbers = (int(path.name) for path in job_dir.iterdir() if path.name.isdecimal())
    return [Attempt(job_dir / str(number), number) for number in sorted(numbers)]


def next_attempt(job_dir: Path) -> int:
    """Return the number that the next attempt will have."""
    return max((attempt.number for attempt in attempts(job_dir)), default=0) + 1


def begin_attempt(job_dir: Path) -> Attempt:
    """Make a new attempt's folder; two workers never get the same one."""
    while True:
        number = next_attempt(job_dir)
        path = job_dir / str(number)
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return Attempt(path, number)


def write_state(attempt: Attempt, state: State) -> None:
    """Replace the attempt's state.json whole."""
    write_file(attempt.path / STATE_FILE, msgspec.json.encode(state))


def read_state(attempt: Attempt) -> State | None:
    """Return what the worker last wrote, or None before it wrote at all.

    Raises:
        UserError: what the file holds is no state.
    """
    try:
        return read_file(attempt.path / STATE_FILE, State)
    except FileNotFoundError:
        return None
