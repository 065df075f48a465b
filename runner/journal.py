"""Commits an attempt's records from an event loop.

Whatever is ready is committed at once; nobody waits for a batch to fill, and batches grow by themselves
while a commit is under way. Records are staged on the event loop, which is quick; what waits for the
disk, and what reads much, happens in a thread. The two never touch the database at the same moment.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from runner.errors import RunnerError
from runner.jobs import STEP
from runner.questions import Question
from runner.records import AttemptRecords, Record
from runner.secrets import Secrets

_T = TypeVar("_T")


class Batch:
    """Records that are committed together."""

    __slots__ = ("_done", "_error", "records")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._done = asyncio.Event()
        self._error: RunnerError | None = None

    async def wait(self) -> None:
        """Wait until the records are on disk; a waiter that is cancelled disturbs no other.

        Raises:
            RunnerError: they could not be written.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def settle(self, error: RunnerError | None = None) -> None:
        """Tell all waiters how it went."""
        self._error = error
        self._done.set()


class Journal:
    """The event loop's end of `AttemptRecords`; one per loop, used as an async context manager."""

    def __init__(self, records: AttemptRecords, secrets: Secrets) -> None:
        self._records = records
        self._secrets = secrets
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._batch: Batch | None = None
        self._busy: asyncio.Task[None] | None = None
        self._database = asyncio.Lock()

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
        """Wait until everything that was given is on disk."""
        while self._busy is not None:
            await asyncio.shield(self._busy)

    async def call(self, function: Callable[..., _T], *args: object) -> _T:
        """Run *function*, which uses the database, in the thread."""
        async with self._database:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the responses of *keys* that this job already holds."""
        return await self.call(self._records.find, keys)

    async def done(self, point: int, questions: Sequence[Question]) -> set[tuple[str, int]]:
        """Return the (id, sample) of those *questions* that need not be asked."""
        if not self._records.any_done:
            return set()
        return await self.call(self._records.done, point, list({q.row.id for q in questions}))

    async def _write(self) -> None:
        try:
            while (batch := self._batch) is not None:
                try:
                    await self._add(batch)
                except sqlite3.Error as error:
                    batch.settle(RunnerError(f"records could not be written: {error}"))
                else:
                    batch.settle()
        finally:
            self._busy = None

    async def _add(self, batch: Batch) -> None:
        async with self._database:
            # Closed only now: what came while a reader had the database goes along.
            self._batch = None
            records = batch.records
            if self._secrets:
                records = [_masked(record, self._secrets) for record in records]
            self._records.stage(records, STEP)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._records.commit)


def _masked(record: Record, secrets: Secrets) -> Record:
    """Return the record without any secret value that an engine may have echoed."""
    result = record.result
    if result is not None:
        result = msgspec.structs.replace(result, line=secrets.mask_bytes(result.line))
    answers = tuple(
        msgspec.structs.replace(
            a, request=secrets.mask_bytes(a.request), response=secrets.mask_bytes(a.response)
        )
        for a in record.answers
    )
    return Record(record.point, answers, result)
