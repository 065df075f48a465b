"""The work loop: keeps an engine busy with a job's questions until none is left."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from runner.breaker import Breaker, TooManyErrorsError
from runner.claims import Claims, Recent
from runner.engines.base import Engine
from runner.errors import (
    AskError,
    BadRequestError,
    EngineError,
    IncompleteResponseError,
    MalformedError,
    RenderError,
    RowError,
    RunnerError,
)
from runner.failures import FailureLog
from runner.feed import Feed
from runner.journal import Batch, Journal
from runner.launch.preemption import GRACE_SECONDS
from runner.lookups import Lookups
from runner.progress import Counts, Source
from runner.questions import OpenPoint, Question
from runner.records import ERROR, MISSING, OK, Record
from runner.survey import Serving, batches
from runner.values import Response, count

_WAITING = (BadRequestError, IncompleteResponseError, MalformedError)
"""Errors of rows that are the engine's, if it never gave an answer that would do."""


@dataclass(slots=True)
class Desk:
    """Everything that the questions of a job pass over."""

    points: list[OpenPoint]
    engine: Engine
    journal: Journal
    cache: Lookups
    counter: Counts
    failures: FailureLog
    concurrency: int


class Asking:
    """Asks every question of a job that isn't answered yet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._feeding: Feed[tuple[Question, int]] = Feed(desk.concurrency)
        self._claims = Claims()
        self._answered = Recent()
        self._dropped: set[int] = set()
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refused: list[tuple[Question, RowError]] = []
        self._breaker = Breaker()
        self._succeeded = desk.journal.answered
        self._last: Batch | None = None

    def stop(self, reason: RunnerError) -> None:
        """Take no further question and let those in flight finish, for a while."""
        if not self._stop.done():
            self._stop.set_exception(reason)

    def drop(self, point: int) -> None:
        """Ask nothing more for a point."""
        self._dropped.add(point)

    async def run(self) -> None:
        """Ask until no question is left.

        Raises:
            EngineError: the engine can't go on.
            StoppedError: `stop` was called.
            TooManyErrorsError: max_errors is reached.
        """
        workers = [asyncio.create_task(self._answer()) for _ in range(self._desk.concurrency)]
        feeder = asyncio.create_task(self._feed())
        everything: asyncio.Future[Any] = asyncio.gather(feeder, *workers)
        try:
            await asyncio.wait([everything, self._stop], return_when=asyncio.FIRST_COMPLETED)
            if self._stop.done():
                feeder.cancel()
                self._feeding.close(discard=True)
                await asyncio.wait(workers, timeout=GRACE_SECONDS)
                if isinstance(self._stop.exception(), TooManyErrorsError):
                    # Final: a resume would else be refused by the same rows again.
                    self._settle_refusals()
            else:
                everything.result()
                self._settle_refusals()
        finally:
            await _end([feeder, *workers], everything)
            await self._desk.journal.flush()
        if self._stop.done() and not self._all_done():
            self._stop.result()
        self._stop.cancel()

    def _all_done(self) -> bool:
        """Tell whether max_errors stopped what had ended anyway: final errors alone don't fail a job."""
        done = self._desk.counter.done_of
        wanted = [p.spec for p in self._desk.points if p.spec.index not in self._dropped]
        too_many = isinstance(self._stop.exception(), TooManyErrorsError)
        return too_many and all(done[spec.index] >= spec.expected for spec in wanted)

    async def _feed(self) -> None:
        for point in self._desk.points:
            await self._feed_point(point)
        self._feeding.close()

    async def _feed_point(self, point: OpenPoint) -> None:
        """Hand out what has to be asked; what is done is passed over, what is stored is recorded."""
        index = point.spec.index
        for batch in batches(point):
            if index in self._dropped:
                return
            done = await self._desk.journal.done(index, batch)
            undone = [q for q in batch if (q.row.id, q.sample) not in done] if done else batch
            generation = self._answered.begin()
            await self._feeding.give([(q, generation) for q in await self._serve(undone)])
            if self._last is not None:
                await self._last.wait()

    async def _serve(self, undone: list[Question]) -> list[Question]:
        """Answer questions of a point as far as stored responses go; return those with something to ask."""
        serving = Serving(undone)
        while keys := serving.keys:
            own = await self._desk.journal.find(keys)
            for question in serving.ready if own else ():
                if question.stored_key in own:
                    question.source = Source.SHARED
            found = own | await self._cached(serving.ready[0].point, keys, own)
            if found:
                self._note_success()
            serving.take(found)
        for question in serving.complete:
            self._finish(question.record(), question.source)
        for _, record in serving.failed:
            self._finish(record)
        return serving.stuck

    async def _cached(self, point: OpenPoint, keys: list[bytes], own: Container[bytes]) -> dict[bytes, bytes]:
        """Return what earlier runs were answered, of what this job wasn't."""
        if not point.experiment.reads_cache:
            return {}
        return await self._desk.cache.find([key for key in keys if key not in own], self._stop.done)

    def _prepared(self, question: Question) -> bool:
        try:
            question.prepare()
        except RenderError as error:
            self._finish(question.failed(error))
            return False
        return True

    async def _answer(self) -> None:
        feeding = self._feeding
        while not self._stop.done():
            taken = feeding.take()
            if taken is None:
                if await feeding.wait():
                    continue
                return
            question, generation = taken
            try:
                await self._ask(question, generation)
            except EngineError as error:
                self.stop(error)
            except AskError as error:
                await self._fail(question, error)

    async def _ask(self, question: Question, generation: int) -> None:
        """Fill slot after slot; each answer is on disk before the next is asked.

        The first slot was looked up in a *generation* of `Recent`, later ones never were.
        """
        desk = self._desk
        looked_up: int | None = generation
        while not self._over(question):
            key = question.stored_key
            known = looked_up is not None and not self._answered.may_hold(key, looked_up)
            if not self._claims.take(key):
                await self._claims.wait(key)
                known = False
            try:
                if known or not await self._find(question):
                    if not known and self._over(question):
                        return
                    question.source = Source.ASKED
                    desk.counter.requests += 1
                    self._take(question, await desk.engine.generate(question.request))
                await self._keep(question).wait()
                self._answered.add(key)
            finally:
                self._claims.release(key)
            if question.complete or not self._prepared(question):
                return
            looked_up = None

    def _over(self, question: Question) -> bool:
        """Tell whether nothing more is to be asked for a question."""
        return self._stop.done() or question.point.spec.index in self._dropped

    async def _find(self, question: Question) -> bool:
        """Fill one slot from what is stored, if it is."""
        key = question.stored_key
        own = await self._desk.journal.find([key])
        found = own or await self._cached(question.point, [key], own)
        if (data := found.get(key)) is None:
            return False
        question.source = max(question.source, Source.SHARED if own else Source.CACHED)
        question.take_stored(data)
        self._note_success()
        return True

    def _take(self, question: Question, response: Response) -> None:
        self._desk.counter.spend(response.usage)
        if not self._succeeded:
            self._note_success()
        question.take(response)

    def _keep(self, question: Question) -> Batch:
        """Commit what is new of a question."""
        record = question.record()
        if record.result is None:
            return self._desk.journal.commit(record)
        return self._finish(record, question.source)

    def _note_success(self) -> None:
        """Note that the engine answers, now or in an earlier run: what it refuses is then the rows' fault."""
        self._succeeded = True
        self._settle_refusals()

    def _finish(self, record: Record, source: Source = Source.ASKED) -> Batch:
        """Count a result and commit it."""
        assert record.result is not None
        self._desk.counter.count(record.point, record.result.state, source)
        if record.result.state != OK:
            self._desk.failures.note(record.point, record.result)
            if record.result.state == ERROR:
                self._check_errors(record.point)
        self._last = self._desk.journal.commit(record)
        return self._last

    def _check_errors(self, index: int) -> None:
        limit = next(p.experiment.max_errors for p in self._desk.points if p.spec.index == index)
        waiting = sum(question.point.spec.index == index for question, _ in self._refused)
        failed = self._desk.counter.failed_of[index] + waiting
        if limit is not None and failed >= limit:
            allowed = "as many as max_errors allows (those in flight then count too)"
            self.stop(TooManyErrorsError(f"{count(failed, 'row')} failed, {allowed}"))

    async def _fail(self, question: Question, error: AskError) -> None:
        """Record a row without an answer; what the engine may be to blame for waits for a first success.

        Until then the row is missing, unless it failed for good before: such a row stays as it was.
        """
        waits = isinstance(error, _WAITING) and not self._succeeded
        failed_before = waits and await self._desk.journal.failed(question)
        batch: Batch | None = None
        if not isinstance(error, _WAITING) or self._succeeded:  # meanwhile another may have been answered
            batch = self._finish(question.failed(error))
        else:
            self._refused.append((question, error))
            self._check_errors(question.point.spec.index)
            if not failed_before:
                batch = self._desk.journal.commit(question.failed(error, state=MISSING))
        if not self._succeeded and (fault := self._breaker.failed(error)) and not self._stop.done():
            self._refused.clear()
            self.stop(fault)
        if batch is not None:
            await batch.wait()

    def _settle_refusals(self) -> None:
        """Make the refusals that waited for a first success final."""
        refused, self._refused = self._refused, []
        for question, error in refused:
            self._finish(question.failed(error))


async def _end(tasks: list[asyncio.Task[None]], gathered: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    if not gathered.cancelled():
        gathered.exception()
