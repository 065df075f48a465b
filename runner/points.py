"""``cache.sqlite`` of a point: its responses and results, folded from the records of attempts.

Written only by whoever holds the run folder's lock. Rollback journal, never WAL: runs may lie on a
network filesystem.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from statistics import fmean, median
from typing import Self

from runner.cache import RESPONSES, connect, marks, usable
from runner.records import OK, STEP, Record, stored_key
from runner.values import response_stored

_TABLES = f"""
{RESPONSES}
CREATE TABLE IF NOT EXISTS results(
  step TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
  position INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, line BLOB NOT NULL,
  PRIMARY KEY(step, id, sample));
CREATE TABLE IF NOT EXISTS marks(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO marks VALUES ('changed', 0), ('exported', 0), ('shared', 0), ('served', 0);
"""
_UPSERT = """
INSERT INTO results(step, id, sample, position, state, attempt, line) VALUES {}
ON CONFLICT(step, id, sample) DO UPDATE SET
  position = excluded.position, state = excluded.state, attempt = excluded.attempt, line = excluded.line
  WHERE excluded.attempt >= results.attempt
"""

_REMAKE = "delete it, and it is made anew of what the attempts recorded"

_AT_ONCE = 50
"""Rows in one statement: one by one they cost a third more."""

_OF_PIECES = ("first_token", "inter_token")
_TIMES = """
SELECT value FROM (SELECT json_extract(CAST(response AS TEXT), '$.timing.' || ?) AS value FROM responses)
  WHERE value IS NOT NULL
"""


class PointRecords:
    """A point's file, open for writing; used as a context manager, which leaves out what isn't committed.

    Without *write* it is only read, as where its folder may not be written; it must be there.

    What belongs together goes into one transaction: keys come in random order, so that each commit
    rewrites most pages of their index, however few records it adds.

    Raises:
        UserError: where it is opened, used or left, if the file is damaged or can't be used.
    """

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self._usable = partial(usable, path, "", _REMAKE)
        with self._usable(), ExitStack() as stack:
            self._db = stack.enter_context(closing(connect(path)))
            if write:
                self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            stack.pop_all()

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
        answers = [
            (stored_key(bytes.fromhex(a.key), r.point, r.owner), a.request, response_stored(a.response))
            for r in records
            for a in r.answers
            if a.verified
        ]
        answers.sort(key=itemgetter(0))  # neighbours in the index
        results = [_columns(record, attempt) for record in records if record.result is not None]
        answered = sum(r.result.state == OK for r in records if r.result is not None)
        with self._usable():
            self._write(answers, results, served=answered if attempt == 0 else None)

    def _write(
        self, answers: Sequence[tuple[object, ...]], results: Sequence[tuple[object, ...]], served: int | None
    ) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        all_shared = served is not None and self.mark("shared") == self.last_response()
        self._insert("INSERT OR REPLACE INTO responses VALUES {}", answers)
        self._insert(_UPSERT, results)
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
            self._db.commit()

    def mark(self, name: str) -> int:
        """Return a mark.

        ``changed`` and ``exported`` count versions, ``shared`` is a response's rowid, ``served`` counts
        results that the cache completed before any job was launched.
        """
        return int(self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()[0])

    def set_mark(self, name: str, value: int) -> None:
        """Set a mark in the open transaction."""
        self._db.execute("UPDATE marks SET value = ? WHERE name = ?", (value, name))

    def last_response(self) -> int:
        """Return the highest rowid of a response."""
        return int(self._db.execute("SELECT coalesce(max(rowid), 0) FROM responses").fetchone()[0])

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield the state and the line of every result, in dataset order."""
        yield from self._db.execute("SELECT state, line FROM results ORDER BY position, sample, step")

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
        query = (
            "SELECT line FROM results WHERE state = ? AND position >= ? AND position < ? "
            "ORDER BY position, sample"
        )
        for (line,) in self._db.execute(query, (OK, first, end)):
            yield line

    def counts(self) -> dict[str, int]:
        """Return how many results are in each state."""
        return dict(self._db.execute("SELECT state, count(*) FROM results GROUP BY state"))

    def times(self) -> dict[str, dict[str, float]]:
        """Return of each time that answers in pieces have: mean and median in seconds, and of how many."""
        found = {name: [value for (value,) in self._db.execute(_TIMES, (name,))] for name in _OF_PIECES}
        return {
            name: {"mean": fmean(values), "median": median(values), "responses": len(values)}
            for name, values in found.items()
            if values
        }

    def responses(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Yield (key, request, response) of everything asked."""
        yield from self._db.execute("SELECT key, request, response FROM responses")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored responses of *keys*."""
        query = f"SELECT key, response FROM responses WHERE key IN ({marks(keys)})"
        return dict(self._db.execute(query, list(keys)))


def _columns(record: Record, attempt: int) -> tuple[object, ...]:
    result = record.result
    assert result is not None
    return (record.step, result.id, result.sample, result.position, result.state, attempt, result.line)


def by_point(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Group records by the point they belong to."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        groups.setdefault(record.point, []).append(record)
    return groups
