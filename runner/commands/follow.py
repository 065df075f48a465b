"""Follows the jobs of a run on the terminal until all have ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from types import FrameType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from runner.commands.arguments import typed
from runner.commands.lines import JobLines, Troubles, describe
from runner.errors import EXHAUSTED, UNWRITABLE, RunnerError
from runner.launch import TOLD_TO_STOP, StoppedJobsError, cancel, job_states
from runner.outcome import UNDER_WAY, JobOutcome, job_outcomes
from runner.runs import RunFolder
from runner.screen import Screen
from runner.terminal import escaped_output
from runner.values import count

POLL_SECONDS = 0.2
_BAR_WIDTH = 16
_NARROW = 80
"""Columns below which the bars leave out how long it will take."""

SLURM_POLL_SECONDS = 5.0
"""Slurm's controller is shared by all its users, so it is asked more rarely."""


class InterruptedRunError(RunnerError):
    """Raised when Ctrl-C or a signal ended a command before the jobs of its run had ended."""

    exit_code = 130


class _LeftError(KeyboardInterrupt):
    """Raised by SIGTERM and SIGHUP; jobs that this process itself runs end as on Ctrl-C."""


@contextmanager
def resumable(run: RunFolder) -> Iterator[None]:
    """Have whatever ends a command early say how to go on with a run that is on disk, launched or not.

    Raises:
        RunnerError: a file can't be written, for want of room, say.
        InterruptedRunError: on Ctrl-C, after the jobs of this machine were stopped; on SIGTERM and SIGHUP,
            which leave them alone.
    """
    try:
        with _told_to_leave():
            yield
    except _LeftError:
        raise InterruptedRunError(_left(run)) from None
    except KeyboardInterrupt:
        raise InterruptedRunError(_leave(run, launched=False)) from None
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise RunnerError(
                f"{error.strerror}\n    raise the limit (ulimit -n), then: runner resume {typed(run)}"
            ) from error
        if error.errno not in UNWRITABLE:
            raise
        raise RunnerError(
            f"{error.filename} can't be written: {error.strerror}\n"
            f"    what was answered is kept; fix that, then: runner resume {typed(run)}"
        ) from error


@contextmanager
def _told_to_leave() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise `_LeftError`; one that is ignored, as under nohup, stays so."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise _LeftError(TOLD_TO_STOP)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {
        number: handler for number in numbers if (handler := signal.getsignal(number)) is signal.SIG_DFL
    }
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _left(run: RunFolder) -> str:
    """Say of a command that was told to end what goes on without it."""
    name = typed(run)
    if not any(state.active for state in job_states(run.path).values()):
        return f"interrupted; no job is under way\n    go on with: runner resume {name}"
    return (
        f"interrupted; the jobs go on: runner status {name} --watch\n    to stop them: runner cancel {name}"
    )


def follow(run: RunFolder, names: Collection[str], start: Callable[[], None]) -> None:
    """Call *start*, which launches jobs (and may run them to their end), and show them until all ended.

    How the jobs of these *names* stood before isn't shown, nor are the run's other jobs.

    Raises:
        InterruptedRunError: on Ctrl-C, after the jobs of this machine were stopped; those in Slurm are
            left alone. Says how to go on.
    """
    watcher = _Watcher(run, names)
    watcher.start()
    try:
        start()
        watcher.launched.set()
        while not watcher.ended.wait(1.0):
            pass
    except _LeftError:
        raise  # `resumable` says what goes on
    except (KeyboardInterrupt, StoppedJobsError):
        raise InterruptedRunError(_leave(run, launched=watcher.launched.is_set())) from None
    finally:
        watcher.stop()


def _leave(run: RunFolder, *, launched: bool) -> str:
    """Stop what runs on this machine; say what goes on without this command, and how to go on."""
    active = [state for state in job_states(run.path).values() if state.active]
    here = [state.name for state in active if state.slurm is None]
    _stop(run, here)
    name, jobs = typed(run), len(active) - len(here)
    resume = f"go on with: runner resume {name}"
    if not jobs:
        return f"interrupted; what was answered is kept\n    {resume}"
    left = f"interrupted; left to run: {count(jobs, 'Slurm job')}"
    told = f"{left}\n    follow: runner status {name} --watch\n    stop: runner cancel {name}"
    return told if launched and not here else f"{told}\n    then {resume}"


def _stop(run: RunFolder, names: Collection[str]) -> None:
    """Stop jobs and have them say how they ended; on a second Ctrl-C at once, whatever comes after it."""
    try:
        cancel(run.path, names, mark=False)
    except KeyboardInterrupt:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            cancel(run.path, names, mark=False, grace=0)
        finally:
            signal.signal(signal.SIGINT, before)


class _Watcher(threading.Thread):
    """Looks at a run's jobs again and again and shows what it sees.

    Attributes:
        launched: to be set once every job was launched.
        ended: set once every launched job has ended, or looking failed, which `stop` then raises.
    """

    def __init__(self, run: RunFolder, names: Collection[str]) -> None:
        super().__init__(daemon=True)
        self.launched = threading.Event()
        self.ended = threading.Event()
        self._failure: Exception | None = None
        self._run = run
        self._names = names
        self._before = self._jobs()
        """How the jobs stood before they were launched."""
        self._quit = threading.Event()

    def stop(self) -> None:
        """Show the last state and end."""
        self._quit.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """Poll until told to stop."""
        try:
            self._watch()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._failure = error
            self.ended.set()

    def _watch(self) -> None:
        console = Screen(stderr=True, soft_wrap=False)
        with _Bars(console) if console.is_terminal else nullcontext(JobLines()) as display:
            while not self._quit.wait(self._look(display)):
                pass
            self._look(display)

    def _look(self, display: _Bars | JobLines) -> float:
        launched = self.launched.is_set()
        jobs = self._jobs()
        display.show([job for job in jobs if launched or job not in self._before])
        if launched and not any(job.state in UNDER_WAY for job in jobs):
            self.ended.set()
        return SLURM_POLL_SECONDS if any(job.slurm for job in jobs) else POLL_SECONDS

    def _jobs(self) -> list[JobOutcome]:
        return [job for job in job_outcomes(self._run) if job.name in self._names]


def _note(job: JobOutcome) -> str:
    """Return what stands beside a job's bar; why it ended is said below."""
    return job.state if job.state not in UNDER_WAY else describe(job, brief=True)


class _Eta(TimeRemainingColumn):
    """The time that is left, under its name."""

    def render(self, task: Task) -> Text:
        return Text.assemble("eta ", super().render(task))


class _Bars:
    """A live bar for each job that has begun, on a terminal."""

    def __init__(self, console: Screen) -> None:
        narrow = console.width < _NARROW
        self._progress = Progress(
            TextColumn("{task.fields[name]}", table_column=Column(no_wrap=True), markup=False),
            BarColumn(bar_width=_BAR_WIDTH // 2 if narrow else _BAR_WIDTH),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            # All others keep their width; what they leave is the note's.
            TextColumn("{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True), markup=False),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            *(() if narrow else (_Eta(table_column=Column(no_wrap=True)),)),
            console=console,
            transient=True,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._troubles = Troubles()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._progress.start()
        self._stack.enter_context(escaped_output())  # rich reads colours in what others print above the bars
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._progress.stop()

    def show(self, jobs: Sequence[JobOutcome]) -> None:
        """Update the bars."""
        for job in jobs:
            if job.state == "not_submitted":
                continue
            if job.name not in self._tasks:
                self._tasks[job.name] = self._progress.add_task("", total=None, name=job.name, note="")
            if self._troubles.new(job):
                told = Text(f"{job.name}: {job.progress.trouble}")
                self._progress.console.print(told, soft_wrap=True, highlight=False)
            done, total, note = job.progress.done, job.progress.total or None, _note(job)
            self._progress.update(self._tasks[job.name], completed=done, total=total, note=note)
