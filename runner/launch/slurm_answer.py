"""Asks Slurm how jobs stand: squeue for what its controller still knows, sacct for what ended long ago."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.launch.slurm_commands import SlurmSilentError, run_slurm

_ACTIVE = frozenset({"CONFIGURING", "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
_RUNNING = frozenset({"COMPLETING", "RESIZING", "RUNNING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"})


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """How one job stands in Slurm's own words.

    Attributes:
        id: ``123`` or ``123_4``.
        state: Slurm's word, such as PENDING or NODE_FAIL.
        node: nodes that it runs or ran on.
        reason: why it waits or ended, where Slurm says.
    """

    id: str
    state: str
    node: str = ""
    reason: str = ""

    @property
    def pending(self) -> bool:
        """Whether it waits, for the first time or after a requeue."""
        return self.state in _ACTIVE

    @property
    def running(self) -> bool:
        """Whether it has nodes."""
        return self.state in _RUNNING


def ask_slurm(ids: Sequence[str]) -> dict[str, SlurmJob]:
    """Return what Slurm knows of each job id; ids that it has forgotten are missing.

    The controller's word on a job goes before the accounting's, which lags behind and may name an
    end (NODE_FAIL, PREEMPTED) that a requeue has already undone. Two commands, however many jobs.

    Raises:
        SlurmSilentError: Slurm gave no answer.
    """
    if not ids:
        return {}
    parents = sorted({job_id.partition("_")[0] for job_id in ids}, key=int)
    known = _squeue(parents)
    ended = [job_id for job_id in ids if job_id not in known or not _is_live(known[job_id])]
    if not ended:
        return known
    accounted = _sacct(sorted({job_id.partition("_")[0] for job_id in ended}, key=int))
    return {**accounted, **{job_id: _with_memory(job, accounted) for job_id, job in known.items()}}


def _is_live(job: SlurmJob) -> bool:
    return job.pending or job.running


def _with_memory(job: SlurmJob, accounted: Mapping[str, SlurmJob]) -> SlurmJob:
    """Return *job*, as out of memory where one of its steps was: the job itself is then merely FAILED."""
    seen = accounted.get(job.id)
    if job.state == "FAILED" and seen is not None and seen.state == "OUT_OF_MEMORY":
        return replace(job, state=seen.state)
    return job


def _squeue(parents: Sequence[str]) -> dict[str, SlurmJob]:
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%N|%r"]
    try:
        printed = run_slurm([*command, f"--jobs={','.join(parents)}"])
    except SlurmSilentError as error:
        if "Invalid job id" in str(error):  # a single job that the controller has forgotten
            return {}
        raise
    rows = (line.split("|", 3) for line in printed.splitlines())
    return {
        job_id: SlurmJob(job_id, state, node, "" if reason == "None" else reason)
        for job_id, state, node, reason in rows
    }


def array_tasks(folder: Path) -> list[tuple[int, str]]:
    """Return (array task, job id) of every living job of this user whose script lies in *folder*.

    Raises:
        SlurmSilentError: Slurm gave no answer.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%o"]
    printed = run_slurm([*command, f"--user={os.getuid()}"])
    rows = (line.split("|", 2) for line in printed.splitlines())
    living = [(job_id, Path(script)) for job_id, state, script in rows if _is_live(SlurmJob(job_id, state))]
    own = [job_id for job_id, script in living if script.parent.resolve() == folder.resolve()]
    return [(int(job_id.partition("_")[2] or 0), job_id) for job_id in own]


def _sacct(parents: Sequence[str]) -> dict[str, SlurmJob]:
    """Return what the accounting knows; nothing where the cluster keeps none."""
    fields = "JobID,State,ExitCode,NodeList"
    command = ["sacct", "--noheader", "--parsable2", f"--format={fields}", f"--jobs={','.join(parents)}"]
    try:
        return read_sacct(run_slurm(command).splitlines())
    except SlurmSilentError:
        return {}


def read_sacct(lines: Iterable[str]) -> dict[str, SlurmJob]:
    """Read ``JobID|State|ExitCode|NodeList`` lines, steps included."""
    jobs: dict[str, SlurmJob] = {}
    for line in lines:
        step_id, state, code, node = line.split("|", 3)
        job_id, _, step = step_id.partition(".")
        state = state.partition(" ")[0]  # "CANCELLED by 1000"
        if not re.fullmatch(r"\d+(_\d+)?", job_id):
            continue  # 7_[3-9]: array tasks that wait; squeue lists them one by one
        if not step:
            jobs[job_id] = SlurmJob(job_id, state, node, "" if code == "0:0" else f"exit code {code}")
        elif state == "OUT_OF_MEMORY" and job_id in jobs and jobs[job_id].state == "FAILED":
            jobs[job_id] = replace(jobs[job_id], state=state)
    return jobs
