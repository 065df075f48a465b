"""Commits an attempt's records from an event loop.

Whatever has arrived is committed at once; nobody waits for a batch to fill. A batch grows by itself while a
commit is under way, and as long as every turn of the loop finds more that has arrived. What reads much
happens in a thread, and so does what waits for a slow disk; a quick one is waited for on the loop, which is
less than handing the interpreter lock to and fro costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from runner.errors import RunnerError
from runner.known import Known
from runner.questions import Question
from runner.records import Answer, Record, RecordLog
from runner.secrets import Secrets

_T = TypeVar("_T")

QUICK_SECONDS = 0.002
"""What a commit may take for the next one to be waited for on the loop."""

MOST_COMMITS_BETWEEN = 512
"""Commits in a thread, at most, before the disk is tried again."""


class Batch:
    """Records that are committed together."""

    __slots__ = ("_error", "_settled", "_waiters", "records")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._settled = False
        self._error: Exception | None = None

    def wait(self) -> asyncio.Future[None]:
        """Return what ends once the records are on disk, for one waiter: cancelling it disturbs no other.

        It raises `RunnerError` if they could not be written.
        """
        # What an event does, without its lock, its queue and a coroutine: every request waits here once.
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if self._settled:
            self.settle(self._error)
        return waiter

    def settle(self, error: Exception | None = None) -> None:
        """Tell all waiters how it went."""
        self._error = error
        self._settled = True
        for waiter in self._waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
        self._waiters.clear()


class _Pace:
    """Tells whether the disk is quick, which is tried again ever more rarely while it isn't."""

    def __init__(self) -> None:
        self._between = 0
        self._left = 0

    def quick(self) -> bool:
        """Tell whether to wait for the next commit on the loop."""
        self._left -= 1
        return self._left < 0

    def took(self, seconds: float) -> None:
        """Note how long a commit on the loop took."""
        self._between = min(2 * self._between + 8, MOST_COMMITS_BETWEEN) if seconds > QUICK_SECONDS else 0
        self._left = self._between


class Journal:
    """An attempt's log and what is known of it; one per loop, used as an async context manager."""

    def __init__(self, log: RecordLog, known: Known, secrets: Secrets) -> None:
        self._log = log
        self._known = known
        self._secrets = secrets
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._batch: Batch | None = None
        self._busy: asyncio.Task[None] | None = None
        self._lookups = asyncio.Lock()
        self._failure: Exception | None = None
        self._pace = _Pace()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.flush()
        finally:
            self._thread.shutdown()

    def commit(self, record: Record) -> Batch:
        """Put a record into the next batch; wait for that to know it is on disk."""
        if self._batch is None:
            self._batch = Batch()
        batch = self._batch
        batch.records.append(record)
        if self._busy is None:
            self._busy = asyncio.create_task(self._write())
        return batch

    async def flush(self) -> None:
        """Wait until everything that was given is on disk.

        Raises:
            RunnerError: something given since the last flush could not be written.
        """
        while self._busy is not None:
            await asyncio.shield(self._busy)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the responses that this job holds, by `records.stored_key`."""
        return await self._look_up(self._known.find, keys)

    def holds_unverified(self, key: bytes) -> bool:
        """Tell whether this job holds a response that is to be checked before it answers anything."""
        return self._known.holds_unverified(key)

    async def unverified(self, key: bytes) -> bytes:
        """Return a response that is to be checked."""
        return await self._look_up(self._known.unverified, key)

    async def done(self, point: int, questions: Sequence[Question]) -> set[tuple[str, int]]:
        """Return the (id, sample) of those *questions* that need not be asked."""
        if not self._known.any_done:
            return set()
        return await self._look_up(self._known.done, point, list({q.row.id for q in questions}))

    @property
    def answered(self) -> bool:
        """Whether the engine answered anything before this attempt."""
        return self._known.answered

    async def failed(self, question: Question) -> bool:
        """Tell whether a question is a final error so far, asked again since that was wished for."""
        return await self._look_up(
            self._known.failed, question.point.spec.index, question.row.id, question.sample
        )

    async def _look_up(self, function: Callable[..., _T], *args: object) -> _T:
        async with self._lookups:
            return await self._in_thread(function, *args)

    async def _in_thread(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def _write(self) -> None:
        try:
            while (batch := self._batch) is not None:
                await _grown(batch)
                self._batch = None
                try:
                    await self._add(batch.records)
                except Exception as error:  # noqa: BLE001 - all who wait for the batch raise it
                    self._failure = error
                    batch.settle(error)
                else:
                    batch.settle()
        finally:
            self._busy = None

    async def _add(self, records: list[Record]) -> None:
        if self._secrets:
            records = [_masked(record, self._secrets) for record in records]
        lines = self._log.encode(records)
        try:
            await self._append(lines)
        except OSError as error:
            raise RunnerError(f"records could not be written: {error}") from error
        async with self._lookups:
            self._known.add(records, lines)

    async def _append(self, lines: list[bytes]) -> None:
        if not self._pace.quick():
            await self._in_thread(self._log.append, lines)
            return
        started = time.perf_counter()
        self._log.append(lines)
        self._pace.took(time.perf_counter() - started)


async def _grown(batch: Batch) -> None:
    """Return once a turn of the loop adds nothing to a batch: what has arrived by now is part of it."""
    size = 0
    while len(batch.records) > size:
        size = len(batch.records)
        await asyncio.sleep(0)


def _masked(record: Record, secrets: Secrets) -> Record:
    """Return the record without any secret value that an engine may have echoed."""
    result = record.result
    if result is not None:
        result = msgspec.structs.replace(result, line=_clean(result.line, secrets))
    answers = tuple(
        Answer(a.key, _clean(a.request, secrets), _clean(a.response, secrets), a.verified)
        for a in record.answers
    )
    return msgspec.structs.replace(record, answers=answers, result=result)


def _clean(json: msgspec.Raw, secrets: Secrets) -> msgspec.Raw:
    return msgspec.Raw(secrets.mask_json(bytes(json)))
