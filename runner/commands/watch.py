"""Shows a run's jobs anew until all have ended; looking on changes nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live

from runner.commands.follow import describe
from runner.commands.report import jobs_table
from runner.outcome import UNDER_WAY, JobOutcome, job_outcomes
from runner.runs import RunFolder

_SECONDS = 0.5
_SLURM_SECONDS = 5.0
"""Slurm's controller is shared by all its users, so it is asked more rarely."""
_LINE_SECONDS = 10.0


def watch(run: RunFolder) -> None:
    """Show the jobs until none is under way; a table on a terminal, else a line for what changed."""
    console = Console(stderr=True, highlight=False, markup=False)
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live:
            for jobs in _looks(run):
                live.update(jobs_table(jobs), refresh=True)
        return
    said: dict[str, tuple[str, float]] = {}
    for jobs in _looks(run):
        for job in jobs:
            _say(job, said)


def _looks(run: RunFolder) -> Iterator[tuple[JobOutcome, ...]]:
    """Yield how the jobs stand, now and then, until none is under way."""
    while True:
        jobs = job_outcomes(run)
        yield jobs
        if not any(job.state in UNDER_WAY for job in jobs):
            return
        time.sleep(_SLURM_SECONDS if any(job.slurm for job in jobs) else _SECONDS)


def _say(job: JobOutcome, said: dict[str, tuple[str, float]]) -> None:
    """Print a line where a job's state changed, and counts every few seconds."""
    state, due = said.get(job.name, ("", 0.0))
    now = time.monotonic()
    if job.state == state and (now < due or job.state not in UNDER_WAY):
        return
    said[job.name] = (job.state, now + _LINE_SECONDS)
    counts = f" {job.progress.done}/{job.progress.total}" if job.progress.total else ""
    print(f"{job.name}: {job.state}{counts}  {describe(job)}".rstrip(), file=sys.stderr, flush=True)
