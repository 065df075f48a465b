"""Says in words how jobs are doing: for terminals that show a bar, and for those that can't."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from runner.outcome import UNDER_WAY, JobOutcome

LINE_SECONDS = 10.0
"""Counts are printed this often; a new state at once."""


class JobLines:
    """Prints a line for each job whose state changed, and its counts now and then."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, float]] = {}

    def show(self, jobs: Sequence[JobOutcome]) -> None:
        """Print what is new."""
        for job in jobs:
            if job.state != "not_submitted":
                self._show(job)

    def _show(self, job: JobOutcome) -> None:
        now = time.monotonic()
        state = f"{job.state} {job.progress.phase}".strip()
        said, due = self._said.get(job.name, ("", 0.0))
        if state == said and (now < due or job.state not in UNDER_WAY):
            return
        self._said[job.name] = (state, now + LINE_SECONDS)
        counts = f" {job.progress.done:,}/{job.progress.total:,}" if job.progress.total else ""
        print(f"{job.name}: {job.state}{counts}  {describe(job)}".rstrip(), file=sys.stderr, flush=True)


def describe(job: JobOutcome) -> str:
    """Say in a few words how a job is doing: its phase, or its rates and failures."""
    progress = job.progress
    if job.state == "pending":
        return job.reason or "pending"
    if job.state not in UNDER_WAY and job.reason:
        return job.reason
    if progress.started is None or not progress.requests:
        return progress.phase or job.reason
    rates = f"{progress.requests:,} requests"
    if job.state == "running":
        seconds = max(time.time() - progress.started, 0.001)
        rates = (
            f"{progress.requests / seconds:.0f} requests/s, "
            f"{progress.completion_tokens / seconds:.0f} tokens/s"
        )
    counted = {"cached": progress.cached, "failed": progress.failed, "missing": progress.missing}
    return ", ".join([rates, *(f"{number:,} {name}" for name, number in counted.items() if number)])
