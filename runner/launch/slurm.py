"""Submits jobs to Slurm, and cancels them there."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from runner.errors import ConfigError, Fault, RunnerError, UserError
from runner.launch.attempts import next_attempt
from runner.launch.orphans import find_orphans
from runner.launch.processes import this_process
from runner.launch.slurm_commands import SlurmLateError, SlurmSilentError, run_slurm, unreachable
from runner.launch.submission import (
    Intent,
    JobRequest,
    Submission,
    forget_cancellation,
    submitit_folder,
    write_intent,
    write_submission,
)
from runner.spec import SlurmCluster
from runner.spec.cluster import gres_gpus, gres_names_gpus

_OWN_KEYS = {
    "account": "account",
    "array": "array_parallelism",
    "cpus_per_task": "cpus",
    "gpus_per_node": "gpus",
    "gres": "gres",
    "mem": "memory",
    "partition": "partition",
    "qos": "qos",
    "time": "time",
}
_PROMPT_SECONDS = 4.0
"""A controller that took longer is pinged, and so may a ping take: together less than ten seconds."""

_RESERVED = frozenset({"error", "open_mode", "output", "parsable", "wrap"})

_BARE = frozenset({
    "contiguous",
    "exclusive",
    "get_user_env",
    "hold",
    "no_requeue",
    "overcommit",
    "oversubscribe",
    "reboot",
    "requeue",
    "spread_job",
    "stepmgr",
    "use_min_nodes",
})
"""Flags that are switched on by standing there; none of them takes one of these words."""

_WORDS = frozenset({"yes", "no", "on", "off"})
"""True and false to older YAML, and text to today's."""


def check_slurm(cluster: SlurmCluster) -> list[Fault]:
    """Return the faults of a Slurm cluster that each of its keys alone hasn't."""
    faults = []
    if cluster.gpus is not None and gres_gpus(cluster.gres):
        problem = f"gres asks for GPUs too: {cluster.gres}"
        faults.append(Fault("cluster.gpus", problem, "leave one of them out"))
    for given, value in cluster.sbatch.items():
        flag, place = given.lstrip("-").replace("-", "_"), f"cluster.sbatch.{given}"
        if flag in _RESERVED:
            faults.append(Fault(place, "the runner sets this flag itself", "leave it out"))
        elif flag in _OWN_KEYS:
            faults.append(Fault(place, "this flag has a key of its own", f"write cluster.{_OWN_KEYS[flag]}"))
        elif flag in _BARE and str(value).lower() in _WORDS:
            problem = f"{value} is text here: sbatch would be given --{flag.replace('_', '-')}={value}"
            faults.append(Fault(place, problem, "write true for the bare flag, false to leave it out"))
    return faults


def check_answers() -> None:
    """Refuse a Slurm whose controller can't be reached from here.

    Slurm's commands try a controller that is gone for as long as one that is slow: up to a minute, as the
    cluster is set up. So that is told apart here, and only a slow one is waited for.

    Raises:
        UserError: it gave no answer; says why, in its own last words.
    """
    question = ["scontrol", "show", "config"]  # as a submission asks for the largest array
    try:
        try:
            run_slurm(question, _PROMPT_SECONDS)
        except SlurmLateError:
            if said := unreachable(_PROMPT_SECONDS):
                raise SlurmSilentError(said) from None
            run_slurm(question)
    except SlurmSilentError as error:
        last = re.sub(r"^(scontrol: (fatal|error)|\w+ error): ", "", str(error).rpartition("; ")[2])
        raise UserError(
            f"cluster=slurm: Slurm does not answer here: {last}\n"
            "    run this where jobs are submitted from, or on this machine: cluster=local"
        ) from error


def submit(
    run_dir: Path, jobs: Sequence[JobRequest], cluster: SlurmCluster, target: Callable[[str], int]
) -> None:
    """Submit every job and record its id; one array for as many as go into one.

    Raises:
        UserError: sbatch refused the first array.
        RunnerError: sbatch refused a later one; what was submitted before is recorded and stays.
    """
    if faults := check_slurm(cluster):
        raise ConfigError(faults)
    _clear_stillborn(run_dir)
    chunks = list(_chunks(jobs, _max_array_size()))
    submitted: list[str] = []
    with _outside_allocation():
        for chunk in chunks:
            # the limit counts the tasks of one array, so that a second array waits for the first
            after = submitted[-1] if cluster.array_parallelism and submitted else None
            try:
                submitted.append(
                    _submit_chunk(run_dir, chunk, _parameters(run_dir, chunk, cluster, after), target)
                )
            except (FailedJobError, FailedSubmissionError) as error:
                raise _refusal(error, [chunk[0].name for chunk in chunks], submitted) from error


def _clear_stillborn(run_dir: Path) -> None:
    """Cancel what a killed submitter left in Slurm without anything to run; each would take its GPUs once."""
    try:
        if stillborn := [orphan.id for orphan in find_orphans(run_dir) if not orphan.ready]:
            run_slurm(["scancel", "--quiet", *stillborn])
    except SlurmSilentError as error:
        raise RunnerError(f"Slurm does not answer: {error}") from error


def _submit_chunk(
    run_dir: Path, jobs: Sequence[JobRequest], parameters: Mapping[str, Any], target: Callable[[str], int]
) -> str:
    """Submit jobs of equal size as one array, record each, and return the array's id."""
    # -P: the worker must not import what happens to lie in the user's current folder
    executor = SlurmExecutor(submitit_folder(run_dir), python=f"{shlex.quote(sys.executable)} -P")
    executor.update_parameters(**parameters)
    first = {job.name: next_attempt(job.job_dir) for job in jobs}
    now = time.time()
    for task, job in enumerate(jobs):
        intent = Intent(task=task, submitted=now, first_attempt=first[job.name], process=this_process())
        forget_cancellation(job.job_dir)  # before the intent, from which on a job can be cancelled
        write_intent(job.job_dir, intent)
    with redirect_stderr(StringIO()):  # submitit prints what sbatch said; the error says it too
        handles = executor.map_array(target, [str(job.job_dir) for job in jobs])
    for job, handle in zip(jobs, handles, strict=True):
        submission = Submission(kind="slurm", id=handle.job_id, submitted=now, first_attempt=first[job.name])
        write_submission(job.job_dir, submission)
    return str(handles[0].job_id).partition("_")[0]


def _chunks(jobs: Sequence[JobRequest], size: int) -> Iterator[list[JobRequest]]:
    """Yield jobs that one array can hold: of one size, and no more than Slurm takes."""
    groups: dict[int, list[JobRequest]] = {}
    for job in jobs:
        groups.setdefault(job.devices, []).append(job)
    for group in groups.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _parameters(
    run_dir: Path, jobs: Sequence[JobRequest], cluster: SlurmCluster, after: str | None
) -> dict[str, Any]:
    """Return what submitit's `update_parameters` takes."""
    flags = {key.lstrip("-").replace("-", "_"): value for key, value in cluster.sbatch.items()}
    flags = {"requeue": "no_requeue" not in flags, **flags}
    if after:
        flags["dependency"] = ",".join(filter(None, [str(flags.get("dependency", "")), f"afterany:{after}"]))
    needed = None if gres_names_gpus(cluster.gres) else jobs[0].devices
    gpus = needed if cluster.gpus is None else cluster.gpus
    exports = [f"export {name}={shlex.quote(value)}" for name, value in cluster.env.items()]
    return {
        "job_name": f"runner-{run_dir.parent.name}",
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "time": cluster.time,
        "gres": cluster.gres,
        "gpus_per_node": gpus or None,
        "cpus_per_task": cluster.cpus,
        # since 22.05 srun no longer takes this from sbatch
        "srun_args": [f"--cpus-per-task={cluster.cpus}"] if cluster.cpus else None,
        "mem": cluster.memory,
        "setup": [*exports, *cluster.setup] or None,
        "array_parallelism": cluster.array_parallelism or len(jobs),
        "signal_delay_s": 0,  # no early signal; see preemption.py
        "wckey": None,
        "additional_parameters": {key: value for key, value in flags.items() if value is not False},
    }


def _refusal(error: Exception, first_jobs: Sequence[str], submitted: Sequence[str]) -> RunnerError:
    """Return the error for a refused submission, in sbatch's own words."""
    lines = [re.sub(r"^sbatch: (error: )?", "", line).strip() for line in str(error).splitlines()]
    said = "; ".join(dict.fromkeys(line for line in lines if line)) or "it gave no reason"
    if not submitted:
        return UserError(f"sbatch refused the jobs: {said}")
    done = ", ".join(submitted)
    return RunnerError(
        f"sbatch refused the jobs from {first_jobs[len(submitted)]} on: {said}; those before are submitted "
        f"({done}): cancel this run, or resume it once they have ended"
    )


def _max_array_size() -> int:
    """Return how many tasks one array may have."""
    try:
        shown = run_slurm(["scontrol", "show", "config"])
    except SlurmSilentError as error:
        raise RunnerError(f"Slurm does not answer: {error}") from error
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", shown, re.MULTILINE)
    return max(1, int(found[1])) if found else 1


@contextmanager
def _outside_allocation() -> Iterator[None]:
    """Hide the variables of a Slurm job that this process may run in: new jobs would inherit its size."""
    inside = "SLURM_JOB_ID" in os.environ
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if inside and name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")) and name != "SLURM_CONF"
    }
    try:
        yield
    finally:
        os.environ.update(hidden)
