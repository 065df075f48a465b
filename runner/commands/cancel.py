"""Cancel a run, or one of its points; what is answered already is kept.

runner cancel               the only run with pending or running jobs
runner cancel RUN           every job that is pending or running
runner cancel RUN POINT     one point: the other points of its job go on
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from runner.commands.arguments import runs_folders, typed
from runner.commands.console import console, shown
from runner.commands.pointed import add_run_and_point, point_name, run_and_point
from runner.errors import UserError
from runner.fold import PointCounts, fold_run
from runner.jobs import Job
from runner.launch import JobState, cancel, job_states
from runner.resolved import check_whole
from runner.runs import CANCELLED, RunFolder, all_runs
from runner.start import jobs_of
from runner.values import count

_FINISHED = frozenset({"complete", "incomplete", "failed"})
"""States of a job that ended by itself, before a signal could reach it."""

_WAIT_SECONDS = 15
"""How long an inline job, which nobody kills, is waited for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_and_point(parser, default="")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if not arguments.run:
        arguments.run = str(_only_live(arguments).path)
    run, point = run_and_point(arguments)
    if point is None:
        _cancel_run(run)
    else:
        _cancel_point(run, point)
    return 0


def _only_live(arguments: argparse.Namespace) -> RunFolder:
    """Return the only run that has pending or running jobs.

    Raises:
        UserError: there is none, or there are several, all of which it lists.
    """
    folders = runs_folders(arguments)
    live = [run for folder in folders for run in all_runs(folder) if _is_live(run)]
    if len(live) == 1:
        return live[0]
    if not live:
        looked = ", ".join(shown(folder) for folder in folders)
        raise UserError(f"nothing to cancel: no run in {looked} has pending or running jobs")
    listed = "".join(f"\n    runner cancel {typed(run)}" for run in live)
    raise UserError(f"{len(live)} runs have pending or running jobs; choose one:{listed}")


def _is_live(run: RunFolder) -> bool:
    return any(state.active for state in job_states(run.path).values())


def _cancel_run(run: RunFolder) -> None:
    stopped = cancel(run.path)
    out = console()
    if not stopped:
        check_whole(run)
        out.print(f"nothing to cancel: no job of {run.name} is pending or running")
        return
    states = _ended_states(run, stopped)
    ended = {name: states[name].state for name in stopped}
    cancelled = [
        name for name, state in ended.items() if state not in _FINISHED and not _runs_on(states[name])
    ]
    if cancelled:
        out.print(f"cancelled {count(len(cancelled), 'job')} of {run.name}: {', '.join(cancelled)}")
    for name, state in ended.items():
        if state in _FINISHED:
            out.print(f"already finished: job {name} is {state}")
    living = [name for name in stopped if _runs_on(states[name])]
    for name in living:
        out.print(f"not ended yet: job {name} was signalled; follow it with runner status {typed(run)}")
    missing = sum(counts.missing for counts in fold_run(run).values())
    if missing:
        out.print(
            f"{count(missing, 'result')} missing; to request them after all: runner resume {typed(run)}"
        )


def _ended_states(run: RunFolder, stopped: Sequence[str]) -> dict[str, JobState]:
    """Return how the jobs are once those that were signalled have ended, or have had their time for it."""
    until = time.monotonic() + _WAIT_SECONDS
    while any(_runs_on((states := job_states(run.path))[name]) for name in stopped):
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return states


def _runs_on(state: JobState) -> bool:
    """Tell whether a job of this machine still runs; Slurm ends one later."""
    return state.slurm is None and state.state == "running"


def _cancel_point(run: RunFolder, given: str) -> None:
    check_whole(run)
    jobs = jobs_of(run)
    name = point_name(run, jobs, given)
    out = console()
    counts = fold_run(run)[name]
    marker = run.point(name) / CANCELLED
    if not counts.missing:
        out.print(f"nothing to cancel: point {name} has all its {count(counts.expected, 'result')}")
        return
    if marker.exists():
        out.print(f"point {name} is cancelled already; it has {_have(counts)}")
        return
    marker.touch()
    out.print(f"cancelled point {name} of {run.name}; it has {_have(counts)}")
    job = next(job for job in jobs if any(point.name == name for point in job.points))
    out.print(_tell_job(run, job))
    out.print(f"to take it up again: runner resume {typed(run)} {name.partition('-')[0]}")


def _have(counts: PointCounts) -> str:
    return f"{counts.expected - counts.missing:,} of {count(counts.expected, 'result')}"


def _tell_job(run: RunFolder, job: Job) -> str:
    """Stop the job where nothing of it is wanted any more; say what becomes of it."""
    state = job_states(run.path)[job.name]
    if not state.active:
        return f"job {job.name} is {state.state.replace('_', ' ')}; a resume will pass the point over"
    if all((run.point(point.name) / CANCELLED).exists() for point in job.points):
        stopped = cancel(run.path, [job.name])
        if stopped and _runs_on(_ended_states(run, stopped)[job.name]):
            return f"no other point was left in job {job.name}: it was signalled and still runs"
        return f"no other point was left in job {job.name}: it is cancelled too"
    return f"job {job.name} is {state.state} and goes on with its other points"
