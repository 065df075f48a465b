"""How far a batch is: a bar on a terminal or in a notebook, now and then a line elsewhere.

In a notebook rich draws its bar with ipywidgets; where these aren't installed, the bar is a line of text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from runner.screen import Screen, rewrite, text_console
from runner.terminal import escaped_output, write_error
from runner.values import count

_TEXT_SECONDS = 0.1
"""Between two states of a bar of text."""
LINE_SECONDS = 30.0
"""Between two lines, where there is no terminal."""


@dataclass(slots=True)
class Tally:
    """Rows of a batch so far."""

    total: int | None
    done: int = 0
    cached: int = 0
    failed: int = 0

    def told(self, seconds: float, trouble: str) -> str:
        """Return all but the bar, in words."""
        parts = [f"{self.cached} cached"] if self.cached else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{(self.done - self.cached) / seconds:.1f}/s"] if seconds > 0 else []
        return ", ".join([*parts, trouble] if trouble else parts)


class TextBar(Progress):
    """A bar of plain text on standard error, each state written over the one before with a carriage return.

    A notebook has no cursor that could be moved, and rich shows an empty widget where it has no ipywidgets.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=text_console(), auto_refresh=False)
        self._shown = 0
        self._due = 0.0

    def start(self) -> None:
        """Show the empty bar."""
        self._write()

    def update(self, task_id: TaskID, **state: Any) -> None:
        """Take the state, and show it if none was shown just now."""
        super().update(task_id, **state)
        if time.monotonic() >= self._due:
            self._write()

    def stop(self) -> None:
        """Show the last state, and end the line."""
        self._write()
        write_error("")

    def _write(self) -> None:
        self._due = time.monotonic() + _TEXT_SECONDS
        with self.console.capture() as captured:
            self.console.print(self.make_tasks_table(self.tasks))
        line = " ".join(captured.get().split())
        rewrite(line, self._shown)
        self._shown = len(line)


class Show:
    """Shows a tally on standard error while its block lasts.

    Args:
        tally: counted by the batch.
        trouble: says why requests wait to be sent again, or nothing.
        wanted: whether anything is to be shown at all.
    """

    def __init__(self, tally: Tally, trouble: Callable[[], str], *, wanted: bool) -> None:
        self._tally = tally
        self._trouble = trouble
        self._wanted = wanted
        self._console = Screen(stderr=True)
        self._start = self._said = time.monotonic()
        self._lines = False
        self._bar: Progress | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._wanted and (self._console.is_terminal or self._console.is_jupyter):
            text_only = self._console.is_jupyter and find_spec("ipywidgets") is None
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[told]}", markup=False),
            )
            if text_only:
                # Without colour, a bar that only pulses would look full.
                self._bar = TextBar(*columns[self._tally.total is None :])
            else:
                self._bar = Progress(*columns, console=self._console)
            self._bar.add_task("", total=self._tally.total, told="")
            self._bar.start()
            self._stack.enter_context(escaped_output())  # rich reads colours in what others print above it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.update(last=True)
        if self._bar is not None:
            self._stack.close()
            self._bar.stop()

    def update(self, *, last: bool = False) -> None:
        """Show how far the batch is."""
        now = time.monotonic()
        tally = self._tally
        if self._bar is not None:
            told = tally.told(now - self._start, self._trouble())
            self._bar.update(self._bar.task_ids[0], completed=tally.done, total=tally.total, told=told)
        elif self._wanted and now - self._said >= (0 if last and self._lines else LINE_SECONDS):
            self._said = now
            self._lines = True
            done = count(tally.done, "input")
            if tally.total is not None:
                done = f"{tally.done:,} of {count(tally.total, 'input')}"
            rest = tally.told(now - self._start, self._trouble())
            self._console.print(done + (f", {rest}" if rest else ""))
