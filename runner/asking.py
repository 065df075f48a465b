"""The work loop: keeps an engine busy with a job's questions until none is left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from runner.cache import ResponseCache
from runner.engines.base import Engine
from runner.errors import AskError, BadRequestError, EngineError, RenderError, RowError, RunnerError
from runner.feed import Feed
from runner.journal import Batch, Journal
from runner.progress import Counter
from runner.questions import OpenPoint, Question
from runner.records import ERROR, MISSING, Record
from runner.survey import batches
from runner.values import Response

SAME_REFUSALS = 20
"""Identical refusals without one success after which the engine, not the rows, is at fault."""

GRACE_SECONDS = 10.0
"""How long requests in flight may finish once the job has to stop."""


class StoppedError(RunnerError):
    """Raised when the job was told to stop before its rows were done."""


class TooManyErrorsError(RunnerError):
    """Raised when as many rows failed for good as max_errors allows."""


@dataclass(slots=True)
class Desk:
    """Everything that the questions of a job pass over."""

    points: list[OpenPoint]
    engine: Engine
    journal: Journal
    cache: ResponseCache
    counter: Counter
    concurrency: int


class Asking:
    """Asks every question of a job that isn't answered yet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._feeding: Feed[Question] = Feed(desk.concurrency)
        self._claims: dict[bytes, asyncio.Future[None]] = {}
        self._dropped: set[int] = set()
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refused: list[tuple[Question, RowError]] = []
        self._succeeded = False
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
            else:
                everything.result()
                self._settle_refusals()
        finally:
            await _end([feeder, *workers], everything)
            await self._desk.journal.flush()
        if self._stop.done():
            self._stop.result()
        self._stop.cancel()

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
            await self._feeding.give(await self._serve(point, [q for q in undone if self._prepared(q)]))
            if self._last is not None:
                await self._last.wait()

    async def _serve(self, point: OpenPoint, ready: list[Question]) -> list[Question]:
        """Answer questions as far as stored responses go; return those with something to ask."""
        stuck: list[Question] = []
        while ready:
            found = await self._stored(point, [q.key for q in ready if self._claim(q)])
            going = []
            for question in ready:
                data = found.get(question.key) if question.claimed else None
                if data is None:
                    stuck.append(question)
                    continue
                self._release(question)
                if question.take_stored(data):
                    self._finish(question.record(), cached=True)
                else:
                    going.append(question)
            ready = [q for q in going if self._prepared(q)]
        return stuck

    async def _stored(self, point: OpenPoint, keys: list[bytes]) -> dict[bytes, bytes]:
        if not point.experiment.fills_cache or not keys:
            return {}
        found = await self._desk.journal.find(keys)
        if point.experiment.reads_cache:
            found |= self._desk.cache.find([key for key in keys if key not in found])
        return found

    def _claim(self, question: Question) -> bool:
        """Claim a question's key; False while another question with the same key is under way.

        Claimed before stored responses are looked up and released after the answer is on disk:
        so the same request is never sent twice.
        """
        if question.claimed:
            return True
        if question.point.experiment.fills_cache:
            if question.key in self._claims:
                return False
            self._claims[question.key] = self._stop.get_loop().create_future()
        question.claimed = True
        return True

    def _release(self, question: Question) -> None:
        if question.claimed and (claim := self._claims.pop(question.key, None)) is not None:
            claim.set_result(None)
        question.claimed = False

    def _prepared(self, question: Question) -> bool:
        try:
            question.prepare()
        except RenderError as error:
            self._finish(question.failed(error))
            return False
        return True

    async def _answer(self) -> None:
        while not self._stop.done() and (question := await self._feeding.take()) is not None:
            if question.point.spec.index in self._dropped:
                self._release(question)
                continue
            try:
                await self._ask(question)
            except EngineError as error:
                self.stop(error)
            except AskError as error:
                await self._fail(question, error)
            finally:
                self._release(question)

    async def _ask(self, question: Question) -> None:
        """Fill slot after slot; each answer is on disk before the next is asked."""
        # What was fed with its claim was looked up under it; a twin of another was not.
        looked_up = question.claimed
        while True:
            complete = await self._fill(question, looked_up=looked_up)
            record = question.record()
            await (self._finish(record) if complete else self._desk.journal.commit(record)).wait()
            self._release(question)
            if complete or not self._prepared(question):
                return
            looked_up = False

    async def _fill(self, question: Question, *, looked_up: bool) -> bool:
        """Fill one slot from what is stored or by asking; True if it was the last."""
        while not self._claim(question):
            await asyncio.wait([self._claims[question.key]])
            looked_up = False
        if not looked_up:
            found = await self._stored(question.point, [question.key])
            if (data := found.get(question.key)) is not None:
                return question.take_stored(data)
        response = await self._desk.engine.generate(question.request)
        self._count(response)
        return question.take(response)

    def _count(self, response: Response) -> None:
        counter = self._desk.counter
        counter.requests += 1
        counter.prompt_tokens += response.usage.prompt_tokens
        counter.completion_tokens += response.usage.completion_tokens
        if not self._succeeded:
            self._succeeded = True
            self._settle_refusals()

    def _finish(self, record: Record, *, cached: bool = False) -> Batch:
        """Count a result and commit it."""
        assert record.result is not None
        counter = self._desk.counter
        counter.cached += cached
        if record.result.state == MISSING:
            counter.missing += 1
        else:
            counter.done += 1
        if record.result.state == ERROR:
            counter.failed += 1
            self._check_errors(record.point)
        self._last = self._desk.journal.commit(record)
        return self._last

    def _check_errors(self, index: int) -> None:
        limit = next(p.experiment.max_errors for p in self._desk.points if p.spec.index == index)
        if limit is not None and self._desk.counter.failed >= limit:
            failed = self._desk.counter.failed
            self.stop(TooManyErrorsError(f"{failed} rows failed, as many as max_errors allows"))

    async def _fail(self, question: Question, error: AskError) -> None:
        """Record a row without an answer; a refusal counts as final only once some request succeeded."""
        if not isinstance(error, BadRequestError) or self._succeeded:
            await self._finish(question.failed(error)).wait()
            return
        self._refused.append((question, error))
        await self._desk.journal.commit(question.failed(error, state=MISSING)).wait()
        same = sum(str(other) == str(error) for _, other in self._refused)
        if same >= SAME_REFUSALS:
            self._refused.clear()
            self.stop(EngineError(f"{same} requests in a row were refused alike, none succeeded: {error}"))

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
