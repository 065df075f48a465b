"""How the jobs of a run stand, from the files on disk and from Slurm's own answer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from runner.launch.attempts import Attempt, State, attempts, read_state
from runner.launch.output import STDERR_FILE
from runner.launch.processes import is_running
from runner.launch.slurm_answer import SlurmJob, array_tasks, ask_slurm
from runner.launch.slurm_commands import SlurmSilentError
from runner.launch.submission import (
    Intent,
    Submission,
    read_intent,
    read_submission,
    submitit_folder,
    submitit_stderr,
)
from runner.runs import CANCELLED

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
_TAIL_BYTES = 8192
_SILENT = "Slurm does not answer"
_ENDS: Mapping[str, JobStateName] = {
    "BOOT_FAIL": "node_fail",
    "CANCELLED": "cancelled",
    "DEADLINE": "timeout",
    "FAILED": "failed",
    "NODE_FAIL": "node_fail",
    "OUT_OF_MEMORY": "out_of_memory",
    "PREEMPTED": "interrupted",
    "TIMEOUT": "timeout",
}

_WORDS: Mapping[JobStateName, str] = {
    "cancelled": "cancelled",
    "interrupted": "preempted",
    "node_fail": "its node failed",
    "out_of_memory": "ran out of memory",
    "timeout": "reached its time limit",
}


@dataclass(frozen=True, slots=True)
class JobState:
    """How one job stands.

    Attributes:
        reason: why, in one line: what it waits for, what its worker or Slurm said at the end.
        slurm: its id as Slurm's commands take it; empty where Slurm may have it and doesn't say.
        node: where it runs or ran.
        attempt: the newest attempt of the newest submission.
        record: what that attempt's worker last wrote.
    """

    name: str
    state: JobStateName
    reason: str = ""
    slurm: str | None = None
    node: str = ""
    attempt: Attempt | None = None
    record: State | None = None

    @property
    def active(self) -> bool:
        """Whether it runs, or will without anybody's doing."""
        return self.state in {"pending", "running"}


@dataclass(frozen=True, slots=True)
class _Files:
    """What lies on disk about one job."""

    run_dir: Path
    job_dir: Path
    submission: Submission
    attempt: Attempt | None
    record: State | None

    def state(self, state: JobStateName, reason: str = "", slurm: SlurmJob | None = None) -> JobState:
        job_id = self.submission.id if self.submission.kind == "slurm" else None
        host = self.record.host if self.record else ""
        node = slurm.node if slurm else ""
        return JobState(self.job_dir.name, state, reason, job_id, node or host, self.attempt, self.record)

    @property
    def cancelled(self) -> bool:
        return (self.job_dir / CANCELLED).exists()

    @property
    def last_words(self) -> str:
        """Return the last errors that srun and the worker, or what should have started it, printed."""
        above = _last_line(submitit_stderr(self.run_dir, self.submission))
        own = _last_line(self.attempt.path / STDERR_FILE) if self.attempt else ""
        return "; ".join(filter(None, [above, own]))


def job_states(run_dir: Path) -> dict[str, JobState]:
    """Return how each job of a run stands, by its name; Slurm is asked once for all of them.

    Where Slurm does not answer, the files alone are told, and the reason says so.
    """
    folders = sorted(path for path in (run_dir / "jobs").glob("*") if path.is_dir())
    orphans, silence = _orphans(run_dir, folders)
    files = {folder.name: _read(run_dir, folder, orphans) for folder in folders}
    ids = [f.submission.id for f in files.values() if f and _needs_slurm(f)]
    answers, silence = ({}, silence) if silence else _ask(ids)
    return {
        name: JobState(name, "not_submitted") if f is None else _judge(f, answers, silence)
        for name, f in files.items()
    }


def _ask(ids: list[str]) -> tuple[Mapping[str, SlurmJob], str]:
    try:
        return ask_slurm(ids), ""
    except SlurmSilentError as error:
        return {}, f"{_SILENT}: {error}"


def _orphans(run_dir: Path, folders: Sequence[Path]) -> tuple[Mapping[int, str] | None, str]:
    """Return the living Slurm jobs of the run that no submission names, by array task.

    None stands for no answer. There is never more than one such array, as nothing more is launched
    while it lives; Slurm is asked only where an intent was left alone.
    """
    if not any(read_intent(folder) for folder in folders):
        return {}, ""
    known = {submission.id for folder in folders if (submission := read_submission(folder))}
    try:
        living = array_tasks(submitit_folder(run_dir))
    except SlurmSilentError as error:
        return None, f"{_SILENT}: {error}"
    return {task: job_id for task, job_id in living if job_id not in known}, ""


def _meant(intent: Intent, record: State | None, orphans: Mapping[int, str] | None) -> Submission | None:
    """Return the submission that an intent led to, by its worker's word or Slurm's, or None."""
    job_id = record.slurm if record and record.slurm else "" if orphans is None else orphans.get(intent.task)
    if job_id is None:
        return None
    return Submission(kind="slurm", id=job_id, submitted=intent.submitted, first_attempt=intent.first_attempt)


def _read(run_dir: Path, job_dir: Path, orphans: Mapping[int, str] | None) -> _Files | None:
    """Return what is on disk about a job, or None if nobody ever submitted it."""
    submission, tried = read_submission(job_dir), attempts(job_dir)
    newest = tried[-1] if tried else None
    record = read_state(newest) if newest else None
    if (intent := read_intent(job_dir)) is not None:
        own = record if newest and newest.number >= intent.first_attempt else None
        submission = _meant(intent, own, orphans) or submission
    if submission is None:  # the submitter died before it could write; the worker's word is enough
        if record is None:
            return None
        kind: Literal["slurm", "local"] = "slurm" if record.slurm else "local"
        submission = Submission(
            kind=kind,
            id=record.slurm or "",
            submitted=record.started,
            first_attempt=1,
            process=record.process,
        )
    if newest and newest.number < submission.first_attempt:
        newest = record = None
    return _Files(run_dir, job_dir, submission, newest, record)


def _needs_slurm(files: _Files) -> bool:
    done = files.record is not None and files.record.state == "complete"
    return files.submission.kind == "slurm" and not done


def _judge(files: _Files, answers: Mapping[str, SlurmJob], silence: str) -> JobState:
    if files.record and files.record.state == "complete":
        return files.state("complete")
    if files.submission.kind != "slurm":
        return _judge_process(files)
    if silence:
        return _judge_in_silence(files, silence)
    return _judge_slurm(files, answers.get(files.submission.id))


def _judge_in_silence(files: _Files, silence: str) -> JobState:
    """Judge a job that Slurm doesn't speak of: one that was interrupted may have been started again."""
    if files.record and files.record.state != "interrupted" and (ended := _ended(files)) is not None:
        return ended
    return files.state(_word(files), silence)


def _judge_slurm(files: _Files, job: SlurmJob | None) -> JobState:
    if job is None:
        return _ended(files) or _dead(files, "lost", f"Slurm no longer knows job {files.submission.id}")
    if job.pending:
        return files.state("pending", job.reason or "queued", job)
    if job.running:
        return _judge_running(files, job)
    return _judge_ended(files, job)


def _judge_process(files: _Files) -> JobState:
    """Judge a job of this machine, or of another whose file system this one shares."""
    if files.submission.kind == "inline" and files.record is None and files.cancelled:
        return files.state("cancelled", _WORDS["cancelled"])  # its command passes it over
    if (ended := _ended(files)) is not None:
        return ended
    worker = files.record.process if files.record else files.submission.process
    alive = is_running(worker) if worker else False
    if alive:
        return files.state(_word(files), _phase(files))
    if alive is None and worker:
        return files.state(
            _word(files), f"runs on {worker.host}, and only there one can see whether it lives"
        )
    return _dead(files, "failed", "killed: it left no final state")


def _judge_running(files: _Files, job: SlurmJob) -> JobState:
    """Judge a job that has its nodes; one that was interrupted has been started again."""
    if files.record and files.record.state != "interrupted" and (ended := _ended(files, job)) is not None:
        return ended
    return files.state("running", _phase(files), job)


def _judge_ended(files: _Files, job: SlurmJob) -> JobState:
    """Judge a job that Slurm has done with: its worker's last word counts unless it was cut short."""
    end = _ENDS.get(job.state)
    cut_short = files.record is None or files.record.state in {"running", "incomplete", "interrupted"}
    if not cut_short or end in {None, "failed"}:
        ended = _ended(files, job)
        if ended is not None:
            return ended
    if end == "failed" or end is None:
        why = f" ({job.reason})" if job.reason else ""
        return _dead(files, end or "lost", f"Slurm says {job.state}{why}, and it left no final state", job)
    return files.state(end, _WORDS[end], job)


def _ended(files: _Files, job: SlurmJob | None = None) -> JobState | None:
    """Return the final state that the worker itself wrote, if it did."""
    record = files.record
    if record is None or record.state == "running":
        return None
    cancelled = record.state == "interrupted" and files.cancelled
    return files.state("cancelled" if cancelled else record.state, record.error, job)


def _dead(files: _Files, state: JobStateName, reason: str, job: SlurmJob | None = None) -> JobState:
    """Return the state of a job that ended without a word of its worker."""
    if files.cancelled:
        return files.state("cancelled", _WORDS["cancelled"], job)
    last = f"; last error: {files.last_words}" if files.last_words else ""
    return files.state(state, reason + last, job)


def _word(files: _Files) -> JobStateName:
    return "pending" if files.record is None or _phase(files).startswith("waiting") else "running"


def _phase(files: _Files) -> str:
    return str(files.record.progress.get("phase", "")) if files.record else "starting"


def _last_line(path: Path) -> str:
    """Return the last line of srun's that is an error, else the last line."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    said = [line.strip()[:300] for line in reversed(lines) if line.strip()]
    return next((line for line in said if line.startswith("srun: error:")), said[0] if said else "")
