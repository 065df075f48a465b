"""Cancel a run, or one of its points; what is answered already is kept.

runner cancel RUN           every job that is pending or running
runner cancel RUN POINT     one point: the other points of its job go on
"""

from __future__ import annotations

import argparse

from runner.commands.arguments import runs_folder, typed
from runner.commands.console import console
from runner.commands.pointed import add_run_and_point, point_name, run_and_point
from runner.fold import PointCounts, fold_run
from runner.jobs import Job
from runner.launch import cancel, job_states
from runner.resolved import check_whole
from runner.runs import CANCELLED, RunFolder
from runner.start import jobs_of
from runner.values import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_and_point(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    run, point = run_and_point(runs_folder(arguments), arguments.run, arguments.point)
    if point is None:
        _cancel_run(run)
    else:
        _cancel_point(run, point)
    return 0


def _cancel_run(run: RunFolder) -> None:
    stopped = cancel(run.path)
    out = console()
    if not stopped:
        check_whole(run)
        out.print(f"nothing to cancel: no job of {run.name} is pending or running")
        return
    out.print(f"cancelled {count(len(stopped), 'job')} of {run.name}: {', '.join(stopped)}")
    missing = sum(counts.missing for counts in fold_run(run).values())
    out.print(f"{count(missing, 'result')} missing; to ask for them after all: runner resume {typed(run)}")


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
        cancel(run.path, [job.name])
        return f"no other point was left in job {job.name}: it is cancelled too"
    return f"job {job.name} is {state.state} and goes on with its other points"
