"""Slurm jobs that a killed submitter left behind: they live, and no submission names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runner.launch.processes import is_running
from runner.launch.slurm_answer import array_tasks
from runner.launch.submission import (
    Intent,
    read_intent,
    read_submission,
    submitit_folder,
    submitit_pickle,
)


@dataclass(frozen=True, slots=True)
class Orphan:
    """One living job.

    Attributes:
        task: its index in the array.
        id: as Slurm's commands take it.
        ready: whether there is what submitit has its worker run; where that is missing, the worker waits
            a minute for it and gives up.
    """

    task: int
    id: str
    ready: bool


def job_folders(run_dir: Path) -> list[Path]:
    """Return the folders of a run's jobs, in order."""
    return sorted(path for path in (run_dir / "jobs").glob("*") if path.is_dir())


def find_orphans(run_dir: Path) -> list[Orphan]:
    """Return the orphans of a run; Slurm is asked only where an intent was left alone.

    Raises:
        SlurmSilentError: it gave no answer.
    """
    job_dirs = job_folders(run_dir)
    if not any(read_intent(folder) for folder in job_dirs):
        return []
    known = {submission.id for folder in job_dirs if (submission := read_submission(folder))}
    living = array_tasks(submitit_folder(run_dir))
    return [
        Orphan(task, job_id, submitit_pickle(run_dir, job_id).exists())
        for task, job_id in living
        if job_id not in known
    ]


def orphan_of(intent: Intent, orphans: Iterable[Orphan]) -> str | None:
    """Return the id of the job that an intent led to, if it lives and has begun or can begin."""
    over = intent.process is not None and is_running(intent.process) is False
    found = (orphan.id for orphan in orphans if orphan.task == intent.task and (orphan.ready or not over))
    return next(found, None)
