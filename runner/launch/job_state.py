"""How a job stands, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from runner.launch.attempts import Attempt, State
from runner.launch.processes import Process

JobStateName: TypeAlias = Literal[
    "not_submitted",
    "pending",
    "running",
    "complete",
    "incomplete",
    "failed",
    "cancelled",
    "interrupted",
    "timeout",
    "out_of_memory",
    "node_fail",
    "lost",
]


@dataclass(frozen=True, slots=True)
class JobState:
    """How one job stands.

    Attributes:
        reason: why, in one line: what it waits for, what its worker or Slurm said at the end.
        slurm: its id as Slurm's commands take it; empty where Slurm may have it and doesn't say.
        node: where it runs or ran.
        attempt: the newest attempt of the newest submission.
        record: what that attempt's worker last wrote.
        process: its worker, or the command that runs it, where Slurm has no part in it.
    """

    name: str
    state: JobStateName
    reason: str = ""
    slurm: str | None = None
    node: str = ""
    attempt: Attempt | None = None
    record: State | None = None
    process: Process | None = None

    @property
    def active(self) -> bool:
        """Whether it runs, or will without anybody's doing."""
        return self.state in {"pending", "running"}
