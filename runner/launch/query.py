"""How the jobs of a run stand, from the files on disk and from Slurm's own answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.launch.evidence import Evidence, read_evidence
from runner.launch.job_state import JobState, JobStateName
from runner.launch.orphans import Orphan, find_orphans, job_folders
from runner.launch.processes import is_running
from runner.launch.slurm_answer import SlurmJob, ask_slurm
from runner.launch.slurm_commands import SlurmSilentError
from runner.launch.worker_lock import find_holder, locked_for
from runner.secrets import Secrets

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


def job_states(run_dir: Path, secret_env: Iterable[str] = ()) -> dict[str, JobState]:
    """Return how each job of a run stands, by its name; Slurm is asked once for all of them.

    Where Slurm does not answer, the files alone are told, and the reason says so.

    Args:
        run_dir: the run.
        secret_env: variables whose values no reason may show, besides those whose name says secret.
    """
    secrets = Secrets.of_environment(secret_env)
    orphans, silence = _orphans(run_dir)
    files = {folder: read_evidence(run_dir, folder, orphans, secrets) for folder in job_folders(run_dir)}
    ids = [f.submission.id for f in files.values() if f and _needs_slurm(f)]
    answers, silence = ({}, silence) if silence else _ask(ids)
    return {folder.name: _stand(folder, f, answers, silence) for folder, f in files.items()}


def _orphans(run_dir: Path) -> tuple[list[Orphan] | None, str]:
    try:
        return find_orphans(run_dir), ""
    except SlurmSilentError as error:
        return None, f"{_SILENT}: {error}"


def _ask(ids: list[str]) -> tuple[Mapping[str, SlurmJob], str]:
    try:
        return ask_slurm(ids), ""
    except SlurmSilentError as error:
        return {}, f"{_SILENT}: {error}"


def _needs_slurm(files: Evidence) -> bool:
    done = files.record is not None and files.record.state == "complete"
    return files.submission.kind == "slurm" and not done


def _stand(folder: Path, files: Evidence | None, answers: Mapping[str, SlurmJob], silence: str) -> JobState:
    state = _judge(files, answers, silence) if files else JobState(folder.name, "not_submitted")
    if state.active or state.slurm is not None or (number := locked_for(folder)) is None:
        return state
    if state.record is not None and state.attempt is not None and state.attempt.number >= number:
        return state  # it has said its last word and is about to be gone
    # Its submitter has yet to say so, or died before it could.
    worker = find_holder(folder)
    return JobState(folder.name, "pending", "starting", node=worker.host if worker else "", process=worker)


def _judge(files: Evidence, answers: Mapping[str, SlurmJob], silence: str) -> JobState:
    if files.record and files.record.state == "complete":
        return files.state("complete")
    if files.submission.kind != "slurm":
        return _judge_process(files)
    if silence:
        return _judge_in_silence(files, silence)
    return _judge_slurm(files, answers.get(files.submission.id))


def _judge_in_silence(files: Evidence, silence: str) -> JobState:
    """Judge a job that Slurm doesn't speak of: one that was interrupted may have been started again."""
    if files.record and files.record.state != "interrupted" and (ended := _ended(files)) is not None:
        return ended
    return files.state(_word(files), silence)


def _judge_slurm(files: Evidence, job: SlurmJob | None) -> JobState:
    if job is None or not (job.pending or job.running):
        files = files.read_again()
    if job is None:
        return _ended(files) or _dead(files, "lost", f"Slurm no longer knows job {files.submission.id}")
    if job.pending:
        return files.state("pending", job.reason or "queued", job)
    if job.running:
        return _judge_running(files, job)
    return _judge_ended(files, job)


def _judge_process(files: Evidence) -> JobState:
    """Judge a job of this machine, or of another whose file system this one shares."""
    if files.submission.kind == "inline" and files.record is None and files.cancelled:
        return files.state("cancelled", _WORDS["cancelled"])  # its command passes it over
    if (ended := _ended(files)) is not None:
        return ended
    worker = files.worker
    alive = is_running(worker) if worker else False
    if alive:
        return files.state(_word(files), _phase(files))
    if alive is None and worker:
        return files.state(
            _word(files), f"runs on {worker.host}, and only there one can see whether it lives"
        )
    files = files.read_again()  # its last word may have come after the first look
    return _ended(files) or _dead(files, "failed", "killed: it left no final state")


def _judge_running(files: Evidence, job: SlurmJob) -> JobState:
    """Judge a job that has its nodes; one that was interrupted has been started again."""
    if files.record and files.record.state != "interrupted" and (ended := _ended(files, job)) is not None:
        return ended
    return files.state("running", _phase(files), job)


def _judge_ended(files: Evidence, job: SlurmJob) -> JobState:
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


def _ended(files: Evidence, job: SlurmJob | None = None) -> JobState | None:
    """Return the final state that the worker itself wrote, if it did."""
    record = files.record
    if record is None or record.state == "running":
        return None
    cancelled = record.state == "interrupted" and files.cancelled
    return files.state("cancelled" if cancelled else record.state, record.error, job)


def _dead(files: Evidence, state: JobStateName, reason: str, job: SlurmJob | None = None) -> JobState:
    """Return the state of a job that ended without a word of its worker."""
    if files.cancelled:
        return files.state("cancelled", _WORDS["cancelled"], job)
    if files.stopped:
        return files.state("interrupted", "Ctrl-C", job)
    last = f"; last error: {files.last_words}" if files.last_words else ""
    return files.state(state, reason + last, job)


def _word(files: Evidence) -> JobStateName:
    return "pending" if files.record is None or _phase(files).startswith("waiting") else "running"


def _phase(files: Evidence) -> str:
    return str(files.record.progress.get("phase", "")) if files.record else "starting"
