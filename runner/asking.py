"""The work loop: keeps an engine busy with a job's questions until none is left."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Any

from runner.breaker import TooManyErrorsError
from runner.claims import Claims, Recent
from runner.engines.constraints import checked_apart
from runner.errors import (
    AskError,
    BadRequestError,
    CheckError,
    EngineError,
    IncompleteResponseError,
    RenderError,
    RunnerError,
)
from runner.feed import Feed
from runner.finishing import Desk, Finishing
from runner.journal import Batch
from runner.judging import Judging
from runner.launch.preemption import GRACE_SECONDS
from runner.progress import Source
from runner.questions import OpenPoint, Question
from runner.spec.sampling import CONSTRAINTS
from runner.survey import Serving, batches
from runner.values import Request, Response, decode_response

_CONSTRAINTS = frozenset(CONSTRAINTS)


class Asking:
    """Asks every question of a job that isn't answered yet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._feeding: Feed[tuple[Question, int]] = Feed(desk.concurrency)
        self._claims = Claims()
        self._answered = Recent()
        self._dropped: set[int] = set()
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._results = Finishing(desk, self.stop, self._stop.done)
        self._judging = Judging()

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
                    self._results.settle_refusals()
            else:
                everything.result()
                self._results.settle_refusals()
        finally:
            await _end([feeder, *workers], everything)
            self._judging.close()
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
            if self._results.last is not None:
                await self._results.last.wait()

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
                self._results.note_success()
            serving.take(found, own)
        for question in serving.complete:
            self._results.finish(await self._judging.record(question), question.source)
        for _, record in serving.failed:
            self._results.finish(record)
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
            self._results.finish(question.failed(error))
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
                # Nearly all questions end with their first slot, and so go through no further coroutine.
                going = not self._over(question) and await self._fill(question, generation)
                if going and not (question.complete and question.point.bounded):
                    await self._go_on(question)
            except EngineError as error:
                self.stop(error)
            except AskError as error:
                await self._results.fail(question, error)

    async def _go_on(self, question: Question) -> None:
        """Fill the slots after one that is on disk, and score what takes no bounded time.

        Each answer is on disk before it is scored, or the next one requested.
        """
        while not question.complete:
            if not self._prepared(question) or self._over(question) or not await self._fill(question, None):
                return
        if not question.point.bounded:
            record = await self._judging.record(question)
            await self._results.finish(record, question.source).wait()

    async def _fill(self, question: Question, looked_up: int | None) -> bool:
        """Fill one slot, and commit its answer; False where nothing more is to be asked.

        It was looked up in the generation *looked_up* of `Recent`; never, where that is None.
        """
        desk = self._desk
        key = question.stored_key
        known = looked_up is not None and not self._answered.may_hold(key, looked_up)
        if not self._claims.take(key):
            await self._claims.wait(key)
            known = False
        try:
            known = known and not desk.journal.holds_unverified(key)
            if known or not await self._find(question):
                if not known and self._over(question):
                    return False
                question.source = Source.ASKED
                desk.counter.requests += 1
                response = await desk.engine.generate(question.request)
                desk.counter.spend(response.usage)
                if not _CONSTRAINTS.isdisjoint(question.request.sampling):
                    await self._verify(question, response)
                if not self._results.succeeded:
                    self._results.note_success()
                question.take(response)
            await self._keep(question).wait()
            self._answered.add(key)
        finally:
            self._claims.release(key)
        return True

    async def _verify(self, question: Question, response: Response) -> None:
        """Check a response against its constraints; what takes long to check is on disk before that."""
        if apart := checked_apart(question.request):
            await self._desk.journal.commit(question.received(response)).wait()
        await self._check(question.request, response, on_disk=apart)

    async def _check(self, request: Request, response: Response, *, on_disk: bool) -> None:
        try:
            await self._judging.check(request, response)
        except IncompleteResponseError as error:
            error.response = None if on_disk else response
            raise
        except (BadRequestError, CheckError):  # the engine answered: the constraint is to blame
            self._results.note_success()
            raise

    def _over(self, question: Question) -> bool:
        """Tell whether nothing more is to be asked for a question."""
        return self._stop.done() or question.point.index in self._dropped

    async def _find(self, question: Question) -> bool:
        """Fill one slot from what is stored, if it is."""
        key, journal = question.stored_key, self._desk.journal
        own = await journal.find([key])
        if not own and journal.holds_unverified(key):
            own = {key: await journal.unverified(key)}
            await self._check(question.request, decode_response(own[key]), on_disk=True)
        found = own or await self._cached(question.point, [key], own)
        if (data := found.get(key)) is None:
            return False
        source = Source.SHARED if own else Source.CACHED
        question.source = max(question.source, source)
        question.take_stored(data, source)
        self._results.note_success()
        return True

    def _keep(self, question: Question) -> Batch:
        """Commit what is new of a question, with its result if that takes a bounded time to tell."""
        if not question.complete or not question.point.bounded:
            return self._desk.journal.commit(question.saved())
        try:
            record = question.record()
        except BaseException:
            self._desk.journal.commit(question.saved())  # it was paid for, whatever the fault is
            raise
        return self._results.finish(record, question.source)


async def _end(tasks: list[asyncio.Task[None]], gathered: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    if not gathered.cancelled():
        gathered.exception()
