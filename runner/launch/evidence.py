"""What lies on disk about a job, read as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from runner.launch.attempts import Attempt, State, attempts, read_state
from runner.launch.job_state import JobState, JobStateName
from runner.launch.kept import last_line
from runner.launch.orphans import Orphan, orphan_of
from runner.launch.output import STDERR_FILE
from runner.launch.processes import Process
from runner.launch.slurm_answer import SlurmJob
from runner.launch.submission import Intent, Submission, read_intent, read_submission, submitit_stderr
from runner.runs import CANCELLED, STOPPED
from runner.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Evidence:
    """A job that was submitted, and what its newest submission led to so far."""

    run_dir: Path
    job_dir: Path
    submission: Submission
    attempt: Attempt | None
    record: State | None
    secrets: Secrets

    def state(self, state: JobStateName, reason: str = "", slurm: SlurmJob | None = None) -> JobState:
        """Return the job's state, in what is known of it."""
        on_slurm = self.submission.kind == "slurm"
        host = self.record.host if self.record else ""
        return JobState(
            self.job_dir.name,
            state,
            reason,
            slurm=self.submission.id if on_slurm else None,
            node=(slurm.node if slurm else "") or host,
            attempt=self.attempt,
            record=self.record,
            process=None if on_slurm else self.worker,
        )

    @property
    def worker(self) -> Process | None:
        """Who works on the job, by its own word or its submitter's."""
        return self.record.process if self.record else self.submission.process

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop for good."""
        return (self.job_dir / CANCELLED).exists()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped for now; its worker may have had no time to say so."""
        return (self.job_dir / STOPPED).exists()

    @property
    def last_words(self) -> str:
        """The last errors that srun and the worker, or what should have started it, printed."""
        above = last_line(submitit_stderr(self.run_dir, self.submission), self.secrets)
        own = last_line(self.attempt.path / STDERR_FILE, self.secrets) if self.attempt else ""
        return "; ".join(filter(None, [above, own]))

    def read_again(self) -> Evidence:
        """Return what its worker has written by now."""
        attempt, record = _newest(self.job_dir, self.submission.first_attempt)
        return replace(self, attempt=attempt, record=record)


def read_evidence(
    run_dir: Path, job_dir: Path, orphans: Sequence[Orphan] | None, secrets: Secrets
) -> Evidence | None:
    """Return what is on disk about a job, or None if nobody ever submitted it.

    Args:
        run_dir: its run.
        job_dir: its folder.
        orphans: those of the run, or None where Slurm doesn't say.
        secrets: what isn't to be shown of any log.
    """
    submission, intent = read_submission(job_dir), read_intent(job_dir)
    if intent is not None:
        _, record = _newest(job_dir, intent.first_attempt)
        submission = _meant(intent, record, orphans) or submission
    if submission is None:  # the submitter died before it could write; the worker's word is enough
        _, record = _newest(job_dir, 1)
        if record is None:
            return None
        submission = _told_by(record)
    attempt, record = _newest(job_dir, submission.first_attempt)
    return Evidence(run_dir, job_dir, submission, attempt, record, secrets)


def _newest(job_dir: Path, first: int) -> tuple[Attempt | None, State | None]:
    """Return the newest attempt from number *first* on, and what its worker last wrote."""
    tried = [attempt for attempt in attempts(job_dir) if attempt.number >= first]
    return (tried[-1], read_state(tried[-1])) if tried else (None, None)


def _meant(intent: Intent, record: State | None, orphans: Sequence[Orphan] | None) -> Submission | None:
    """Return the submission that an intent led to, by its worker's word or Slurm's, or None."""
    told = record.slurm if record else None
    job_id = told or ("" if orphans is None else orphan_of(intent, orphans))
    if job_id is None:
        return None
    return Submission(kind="slurm", id=job_id, submitted=intent.submitted, first_attempt=intent.first_attempt)


def _told_by(record: State) -> Submission:
    kind: Literal["slurm", "local"] = "slurm" if record.slurm else "local"
    return Submission(
        kind=kind,
        id=record.slurm or "",
        submitted=record.started,
        first_attempt=1,
        process=record.process,
    )
