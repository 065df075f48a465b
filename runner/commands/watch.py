"""Shows a run's jobs anew until all have ended; looking on changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.live import Live

from runner.commands.follow import SLURM_POLL_SECONDS
from runner.commands.lines import JobLines
from runner.commands.report import jobs_table
from runner.outcome import UNDER_WAY, JobOutcome, job_outcomes
from runner.runs import RunFolder
from runner.screen import Screen
from runner.terminal import escaped_output

_SECONDS = 0.5


def watch(run: RunFolder) -> None:
    """Show the jobs until none is under way; a table on a terminal, else a line for what changed."""
    console = Screen(stderr=True, soft_wrap=False)
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live, escaped_output():
            for jobs in _looks(run):
                live.update(jobs_table(jobs), refresh=True)
        return
    lines = JobLines()
    for jobs in _looks(run):
        lines.show(jobs)


def _looks(run: RunFolder) -> Iterator[tuple[JobOutcome, ...]]:
    """Yield how the jobs stand, now and then, until none is under way."""
    while True:
        jobs = job_outcomes(run)
        yield jobs
        if not any(job.state in UNDER_WAY for job in jobs):
            return
        time.sleep(SLURM_POLL_SECONDS if any(job.slurm for job in jobs) else _SECONDS)
