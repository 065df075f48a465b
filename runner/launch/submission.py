"""What the submitter keeps on disk about a job that it handed over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from runner.launch.processes import Process
from runner.runs import CANCELLED, STOPPED, read_file, write_file

SUBMISSION_FILE = "submission.json"
INTENT_FILE = "submitting.json"
SUBMITIT_FOLDER = "submitit"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job that is ready to start.

    Attributes:
        name: folder under jobs/.
        job_dir: that folder; holds job.json.
        devices: GPUs it takes.
    """

    name: str
    job_dir: Path
    devices: int = 0


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """The newest submission of a job.

    Attributes:
        kind: the cluster's kind.
        id: submitit's id of the job; on Slurm the job id as its commands take it.
        submitted: Unix time.
        first_attempt: number of the first attempt that can belong to this submission.
        process: the worker where it is on this machine.
    """

    kind: Literal["local", "inline", "slurm"]
    id: str
    submitted: float
    first_attempt: int
    process: Process | None = None


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is about to be handed to Slurm; its submission's record takes the place of this.

    Where this is left alone, nobody knows whether Slurm has the job: the submitter was killed between
    the two, or sbatch failed and may have done its work all the same.

    Attributes:
        task: index in the array.
        submitted: Unix time.
        first_attempt: number of the first attempt that can belong to the submission.
        process: the submitter.
    """

    task: int
    submitted: float
    first_attempt: int
    process: Process | None = None


def write_intent(job_dir: Path, intent: Intent) -> None:
    """Say that the job is about to be submitted."""
    write_file(job_dir / INTENT_FILE, msgspec.json.encode(intent))


def read_intent(job_dir: Path) -> Intent | None:
    """Return the intent that no submission was recorded for, if there is one."""
    try:
        return read_file(job_dir / INTENT_FILE, Intent)
    except FileNotFoundError:
        return None


def forget_cancellation(job_dir: Path) -> None:
    """Remove the markers of an earlier cancellation; before a job is handed over, so as to keep new ones."""
    for marker in (CANCELLED, STOPPED):
        (job_dir / marker).unlink(missing_ok=True)


def write_submission(job_dir: Path, submission: Submission) -> None:
    """Record a submission."""
    write_file(job_dir / SUBMISSION_FILE, msgspec.json.encode(submission))
    (job_dir / INTENT_FILE).unlink(missing_ok=True)


def withdraw_submission(job_dir: Path) -> None:
    """Forget a submission that will not be begun."""
    (job_dir / SUBMISSION_FILE).unlink()


def read_submission(job_dir: Path) -> Submission | None:
    """Return the newest submission of a job, or None if it was never submitted."""
    try:
        return read_file(job_dir / SUBMISSION_FILE, Submission)
    except FileNotFoundError:
        return None


def submitit_folder(run_dir: Path) -> Path:
    """Return the folder of submitit's own logs and pickles."""
    return run_dir / SUBMITIT_FOLDER


def submitit_pickle(run_dir: Path, job_id: str) -> Path:
    """Return the file that names what submitit has its worker run."""
    return submitit_folder(run_dir) / f"{job_id}_submitted.pkl"


def submitit_stderr(run_dir: Path, submission: Submission) -> Path:
    """Return the log that says why a worker never began its attempt."""
    return submitit_folder(run_dir) / f"{submission.id}_0_log.err"
