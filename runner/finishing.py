"""How questions end: their results are counted and committed, and failures are laid at somebody's door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from runner.breaker import Breaker, TooManyErrorsError
from runner.engines.base import Responder
from runner.errors import (
    AskError,
    BadRequestError,
    IncompleteResponseError,
    MalformedError,
    RowError,
    RunnerError,
)
from runner.failures import FailureLog
from runner.journal import Batch, Journal
from runner.lookups import Lookups
from runner.progress import Counts, Source
from runner.questions import OpenPoint, Question
from runner.records import ERROR, MISSING, OK, Record
from runner.values import count

_WAITING = (BadRequestError, IncompleteResponseError, MalformedError)
"""Errors of rows that are the engine's, if it never gave an answer that would do."""


@dataclass(slots=True)
class Desk:
    """Everything that the questions of a job pass over."""

    points: list[OpenPoint]
    engine: Responder
    journal: Journal
    cache: Lookups
    counter: Counts
    failures: FailureLog
    concurrency: int


class Finishing:
    """Counts and commits what questions come to.

    Attributes:
        succeeded: whether the engine ever answered: what it refuses is then the rows' fault.
        last: the batch that the last result was committed with.
    """

    def __init__(self, desk: Desk, stop: Callable[[RunnerError], None], over: Callable[[], bool]) -> None:
        """Begin.

        Args:
            desk: what the questions pass over.
            stop: stops the work loop.
            over: tells whether that has been done.
        """
        self._desk = desk
        self._stop = stop
        self._over = over
        self._refused: list[tuple[Question, RowError]] = []
        self._breaker = Breaker()
        self.succeeded = desk.journal.answered
        self.last: Batch | None = None

    def note_success(self) -> None:
        """Note that the engine answers, now or in an earlier run: what it refuses is then the rows' fault."""
        self.succeeded = True
        self.settle_refusals()

    def finish(self, record: Record, source: Source = Source.ASKED) -> Batch:
        """Count a result and commit it."""
        assert record.result is not None
        self._desk.counter.count(record.point, record.result.state, source)
        if record.result.state != OK:
            self._desk.failures.note(record.point, record.result)
            if record.result.state == ERROR:
                self._check_errors(record.point)
        self.last = self._desk.journal.commit(record)
        return self.last

    def _check_errors(self, index: int) -> None:
        limit = next(p.experiment.max_errors for p in self._desk.points if p.spec.index == index)
        waiting = sum(question.point.spec.index == index for question, _ in self._refused)
        failed = self._desk.counter.failed_of[index] + waiting
        if limit is not None and failed >= limit:
            allowed = "as many as max_errors allows (those in flight then count too)"
            self._stop(TooManyErrorsError(f"{count(failed, 'row')} failed, {allowed}"))

    async def fail(self, question: Question, error: AskError) -> None:
        """Record a row without an answer; what the engine may be to blame for waits for a first success.

        Until then the row is missing, unless it failed for good before: such a row stays as it was.
        """
        waits = isinstance(error, _WAITING) and not self.succeeded
        failed_before = waits and await self._desk.journal.failed(question)
        if not isinstance(error, _WAITING) or self.succeeded:  # meanwhile another may have been answered
            batch = self.finish(question.failed(error))
        else:
            self._refused.append((question, error))
            self._check_errors(question.point.spec.index)
            record = question.failed(error, state=MISSING)
            if failed_before:
                record = msgspec.structs.replace(record, result=None)
            batch = self._desk.journal.commit(record)
        if not self.succeeded and (fault := self._breaker.failed(error)) and not self._over():
            self._refused.clear()
            self._stop(fault)
        await batch.wait()

    def settle_refusals(self) -> None:
        """Make the refusals that waited for a first success final."""
        refused, self._refused = self._refused, []
        for question, error in refused:
            self.finish(question.failed(error))
