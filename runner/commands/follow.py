"""Follows the jobs of a run on the terminal until all have ended."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from runner.launch import cancel
from runner.outcome import UNDER_WAY, JobOutcome, job_outcomes
from runner.runs import RunFolder

POLL_SECONDS = 0.2
SLURM_POLL_SECONDS = 3.0
LINE_SECONDS = 10.0
"""Where the output is no terminal, a line this often."""


def follow(run: RunFolder, start: Callable[[], None]) -> None:
    """Call *start*, which launches jobs (and may run them to their end), and show them until all ended.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after the jobs were told to stop; they end by themselves.
    """
    watcher = _Watcher(run)
    watcher.start()
    try:
        start()
        watcher.launched.set()
        while not watcher.ended.wait(1.0):
            if watcher.failure is not None:
                raise watcher.failure
    except KeyboardInterrupt:
        cancel(run.path, mark=False)
        raise
    finally:
        watcher.stop()


class _Watcher(threading.Thread):
    """Looks at a run's jobs again and again and shows what it sees."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(daemon=True)
        self.launched = threading.Event()
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self._run = run
        self._quit = threading.Event()

    def stop(self) -> None:
        """Show the last state and end."""
        self._quit.set()
        self.join()

    def run(self) -> None:
        """Poll until told to stop."""
        console = Console(stderr=True)
        with _Bars(console) if console.is_terminal else _Lines() as display:
            while not self._quit.wait(self._look(display)):
                pass
            self._look(display)

    def _look(self, display: _Display) -> float:
        launched = self.launched.is_set()
        jobs = job_outcomes(self._run)
        display.show(jobs)
        if launched and not any(job.state in UNDER_WAY for job in jobs):
            self.ended.set()
        return SLURM_POLL_SECONDS if any(job.slurm for job in jobs) else POLL_SECONDS


class _Display(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, jobs: Sequence[JobOutcome]) -> None: ...


class _Bars:
    """A live bar for each job that has begun, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[name]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, jobs: Sequence[JobOutcome]) -> None:
        """Update the bars."""
        for job in jobs:
            if job.state == "not_submitted":
                continue
            if job.name not in self._tasks:
                self._tasks[job.name] = self._progress.add_task("", total=None, name=job.name, note="")
            total = job.progress.total or None
            self._progress.update(
                self._tasks[job.name], completed=job.progress.done, total=total, note=describe(job)
            )


class _Lines:
    """A plain line for each job that moved, now and then, where the output is no terminal."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, jobs: Sequence[JobOutcome]) -> None:
        """Print what changed: a new state at once, counts every few seconds."""
        now = time.monotonic()
        for job in jobs:
            state = f"{job.state} {job.progress.phase}".strip()
            if job.state == "not_submitted" or (self._said.get(job.name) == state and now < self._next):
                continue
            self._said[job.name] = state
            self._next = now + LINE_SECONDS
            counts = f" {job.progress.done}/{job.progress.total}" if job.progress.total else ""
            print(f"{job.name}: {job.state}{counts}  {describe(job)}", file=sys.stderr, flush=True)


def describe(job: JobOutcome) -> str:
    """Say in a few words how a job is doing: its phase, or its rates and failures."""
    progress = job.progress
    if job.state == "pending":
        return job.reason or "pending"
    if progress.started is None or not progress.requests:
        return progress.phase or job.reason
    seconds = max(time.time() - progress.started, 0.001) if job.state == "running" else 0
    rates = (
        f"{progress.requests / seconds:.0f} requests/s, {progress.completion_tokens / seconds:.0f} tokens/s"
        if seconds
        else f"{progress.requests} requests"
    )
    extra = [f"{progress.cached} cached"] if progress.cached else []
    extra += [f"{progress.failed} failed"] if progress.failed else []
    extra += [f"{progress.missing} missing"] if progress.missing else []
    return ", ".join([rates, *extra])
