"""``cache.sqlite`` of a point: its responses and results, folded from the records of attempts.

Written only by whoever holds the run folder's lock. Rollback journal, never WAL: runs may lie on a
network filesystem.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Self

import msgspec

from runner.cache import (
    connect,
    make_responses,
    marks,
    require_columns,
)
from runner.checksums import checksum, intact
from runner.records import ERROR, MISSING, OK, STEP, Record, Result, stored_key
from runner.response_times import response_times
from runner.sqlite_errors import REMAKE, CacheDamagedError, usable
from runner.values import response_stored

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS results(
      step TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
      position INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, line BLOB NOT NULL,
      checksum INTEGER, PRIMARY KEY(step, id, sample))
    """,
    "CREATE TABLE IF NOT EXISTS marks(name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO marks VALUES ('changed', 0), ('exported', 0), ('shared', 0), ('served', 0)",
    "INSERT OR IGNORE INTO marks VALUES ('metrics', -1), ('results', -1), ('results_time', -1)",
    "INSERT OR IGNORE INTO marks VALUES ('stored', -1)",
)
_RESULT = ("step", "id", "sample", "position", "state", "attempt", "line")
_UPSERT = """
INSERT INTO results(step, id, sample, position, state, attempt, line, checksum) VALUES {}
ON CONFLICT(step, id, sample) DO UPDATE SET
  position = excluded.position, state = excluded.state, attempt = excluded.attempt, line = excluded.line,
  checksum = excluded.checksum
  WHERE excluded.attempt >= results.attempt
"""

_ANSWER = "INSERT OR REPLACE INTO responses(key, request, response, checksum) VALUES {}"

_AT_ONCE = 50
"""Rows in one statement: one by one they cost a third more."""

_STATES = frozenset({OK, ERROR, MISSING})


class PointRecords:
    """A point's file, open for writing; used as a context manager, which leaves out what isn't committed.

    Without *write* it is only read, as where its folder may not be written; it must be there.

    What belongs together goes into one transaction: keys come in random order, so that each commit
    rewrites most pages of their index, however few records it adds.

    Raises:
        UserError: where it is opened, used or left, if the file is damaged or can't be used.
    """

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self._path = path
        self._usable = partial(usable, path, "", REMAKE)
        with self._usable(), ExitStack() as stack:
            self._db = stack.enter_context(closing(connect(path)))
            self._added = False
            """Whether the open transaction adds records."""
            if write:
                self._make()
            responses = require_columns(self._db, "responses", "key", "request", "response")
            results = require_columns(self._db, "results", *_RESULT)
            require_columns(self._db, "marks", "name", "value")
            # A file of an earlier version that may only be read has none.
            self._response_checksum = "checksum" if responses else "NULL"
            self._result_checksum = "checksum" if results else "NULL"
            if write:
                self._require(self._stored())
            stack.pop_all()

    def _make(self) -> None:
        """Make what isn't there yet."""
        self._db.execute("BEGIN IMMEDIATE")
        make_responses(self._db)
        for statement in _TABLES:
            self._db.execute(statement)
        if not require_columns(self._db, "results", *_RESULT):
            self._db.execute("ALTER TABLE results ADD COLUMN checksum INTEGER")
        self._db.commit()

    def _require(self, results: int) -> None:
        """Refuse a file that has lost results; SQLite takes its pages for sound."""
        wanted = self.mark("stored")
        if results < wanted:  # an earlier version that adds some doesn't count them
            raise self.damaged(f"it has {results:,} of {wanted:,} results")

    def _stored(self) -> int:
        """Return how many results there are by the index, which takes a fraction of the time."""
        return int(self._db.execute("SELECT count(*) FROM results").fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.DatabaseError):
            with self._usable():
                raise error

    def add(self, records: Sequence[Record], *, attempt: int = 0) -> None:
        """Add records to the open transaction; adding the same ones again changes nothing.

        Args:
            records: in the order in which they were written.
            attempt: the number of the attempt that wrote them; of two results for the same row and sample
                the later attempt's counts, and within one attempt the later. 0 is what the shared
                cache completed before any attempt; its answers need not be added to the cache.
        """
        answers, results, answered = [], [], 0
        for record in records:
            for answer in record.answers:
                if answer.verified:
                    key = stored_key(bytes.fromhex(answer.key), record.point, record.owner)
                    response = response_stored(answer.response)
                    answers.append((key, answer.request, response, checksum(key, response)))
            if (result := record.result) is not None:
                results.append(_columns(record.step, result, attempt))
                answered += result.state == OK
        answers.sort(key=itemgetter(0))  # neighbours in the index
        with self._usable():
            self._write(answers, results, served=answered if attempt == 0 else None)

    def _write(
        self, answers: Sequence[tuple[object, ...]], results: Sequence[tuple[object, ...]], served: int | None
    ) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        all_shared = served is not None and self.mark("shared") == self.last_response()
        self._insert(_ANSWER, answers)
        self._insert(_UPSERT, results)
        self._added = True
        self._db.execute("UPDATE marks SET value = value + 1 WHERE name = 'changed'")
        if served is not None:
            self.set_mark("served", self.mark("served") + served)
        if all_shared:
            self.set_mark("shared", self.last_response())

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            values = ",".join([f"({marks(some[0])})"] * len(some))
            self._db.execute(statement.format(values), list(chain.from_iterable(some)))

    def commit(self) -> None:
        """Commit what was added."""
        with self._usable():
            if self._added:
                self.set_mark("stored", self._stored())
                self._added = False
            self._db.commit()

    def mark(self, name: str) -> int:
        """Return a mark.

        ``changed`` and ``exported`` count versions, ``shared`` is a response's rowid, ``served`` counts
        results that the cache completed before any job was launched. ``metrics`` and ``results`` are the
        checksums of the files that were exported, ``results_time`` is when the latter was modified
        (nanoseconds), ``stored`` is the number of results; -1 is not known.

        Raises:
            CacheDamagedError: it is gone, or no number.
        """
        row = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        if row is None or not isinstance(row[0], int):
            raise self.damaged(f"its mark {name}")
        return row[0]

    def set_mark(self, name: str, value: int) -> None:
        """Set a mark in the open transaction."""
        self._db.execute("UPDATE marks SET value = ? WHERE name = ?", (value, name))

    def last_response(self) -> int:
        """Return the highest rowid of a response."""
        return int(self._db.execute("SELECT coalesce(max(rowid), 0) FROM responses").fetchone()[0])

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield the state and the line of every result, in dataset order.

        Raises:
            CacheDamagedError: one is no longer what was stored.
        """
        yield from self._lines("ORDER BY position, sample, step")

    def _lines(self, which: str, values: Sequence[object] = ()) -> Iterator[tuple[str, bytes]]:
        query = f"SELECT id, sample, state, line, {self._result_checksum} FROM results {which}"
        for row, sample, state, line, stored in self._db.execute(query, values):
            if not isinstance(line, bytes) or stored not in {None, _line_checksum(row, sample, state, line)}:
                raise self.damaged(f"the result of row {row}")
            yield state, line

    def damaged(self, what: str) -> CacheDamagedError:
        """Return what says that something in the file is no longer what was stored."""
        return CacheDamagedError(f"{self._path} is damaged ({what}); {REMAKE}", self._path)

    def having(self, ids: Collection[str]) -> set[tuple[str, int]]:
        """Return row and sample of every result that there is of some hundred rows."""
        query = f"SELECT id, sample FROM results WHERE step = ? AND id IN ({marks(ids)})"
        return set(self._db.execute(query, (STEP, *ids)))

    def blocks(self, size: int) -> list[tuple[int, int, int]]:
        """Return of each block of *size* positions: number, count of answers, a sum that tells changes."""
        query = (
            "SELECT position / ?, count(*), sum(attempt) FROM results WHERE state = ? GROUP BY 1 ORDER BY 1"
        )
        return list(self._db.execute(query, (size, OK)))

    def answered(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the line of every answered result with a position from *first* to before *end*, in order."""
        which = "WHERE state = ? AND position >= ? AND position < ? ORDER BY position, sample"
        for _, line in self._lines(which, (OK, first, end)):
            yield line

    def of_row(self, row: str) -> list[tuple[str, bytes]]:
        """Return the state and the line of each result of a row, by sample."""
        return list(self._lines("WHERE step = ? AND id = ? ORDER BY sample", (STEP, row)))

    def position(self, row: str) -> int | None:
        """Return a row's place in the dataset, if it has a result."""
        query = "SELECT position FROM results WHERE step = ? AND id = ?"
        found = self._db.execute(query, (STEP, row)).fetchone()
        return None if found is None else int(found[0])

    def ids(self, most: int) -> list[str]:
        """Return the ids of some rows that have a result."""
        return [row for (row,) in self._db.execute("SELECT DISTINCT id FROM results LIMIT ?", (most,))]

    def requests(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the canonical requests that are stored under *keys*."""
        query = f"SELECT key, request FROM responses WHERE key IN ({marks(keys)})"
        return {key: bytes(request) for key, request in self._db.execute(query, list(keys))}

    def counts(self) -> dict[str, int]:
        """Return how many results are in each state.

        Raises:
            CacheDamagedError: some are gone, or in a state that doesn't exist.
        """
        found = dict(self._db.execute("SELECT state, count(*) FROM results GROUP BY state"))
        if not _STATES.issuperset(found):
            raise self.damaged("the state of a result")
        self._require(sum(found.values()))
        return found

    def times(self) -> dict[str, dict[str, float]]:
        """Return of each time of streamed responses: mean, median, of how many, how many are cached."""
        return response_times(self._db)

    def responses(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Yield (key, request, response) of everything asked."""
        yield from self._db.execute("SELECT key, request, response FROM responses")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored responses of *keys*.

        Raises:
            CacheDamagedError: one isn't there, or is no longer what was stored.
        """
        query = f"SELECT key, response, {self._response_checksum} FROM responses WHERE key IN ({marks(keys)})"
        found = {
            key: response
            for key, response, stored in self._db.execute(query, list(keys))
            if intact(key, response, stored)
        }
        if lacking := set(keys).difference(found):
            raise self.damaged(f"the response {min(lacking).hex()}")
        return found


def _columns(step: str, result: Result, attempt: int) -> tuple[object, ...]:
    check = _line_checksum(result.id, result.sample, result.state, result.line)
    return (step, result.id, result.sample, result.position, result.state, attempt, result.line, check)


def _line_checksum(row: object, sample: object, state: object, line: bytes | msgspec.Raw) -> int:
    return zlib.crc32(line, zlib.crc32(f"{row} {sample} {state}".encode()))
