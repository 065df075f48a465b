"""What was asked and done before: by this and earlier attempts of a worker's job, or earlier in a plan.

Kept in private temporary databases, so that memory stays flat however many rows there are; they are
built anew each time and need no durability.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

from runner.cache import connect, holds, marks, require_columns
from runner.records import ERROR, MISSING, OK, Answer, Record, read_record, read_records, stored_key
from runner.sqlite_errors import usable
from runner.values import response_stored

_QUICK = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
"""
_TABLES = """
CREATE TABLE done(point INTEGER, id TEXT, sample INTEGER, again INTEGER, PRIMARY KEY(point, id, sample))
  WITHOUT ROWID;
CREATE TABLE seen(key BLOB PRIMARY KEY, log INTEGER, start INTEGER) WITHOUT ROWID;
"""

_RECENT = 65_536
"""Answers of this attempt that are kept in memory, about 13 MB, before they go to the database together, in
the order of their keys: one by one, in random order, they cost several times as much."""

_AT_ONCE = 256
"""Answers in one statement: each would give the interpreter lock away and take it again."""

_DONE = "INSERT OR REPLACE INTO done VALUES (?,?,?,?)"
"""``again`` of a final error that is to be asked once more."""
_UNDONE = "DELETE FROM done WHERE point = ? AND id = ? AND sample = ?"


class Keys:
    """A set of request keys, in a private database on disk: memory stays flat however many there are."""

    def __init__(self) -> None:
        self._db = _private("CREATE TABLE keys(key BLOB PRIMARY KEY) WITHOUT ROWID;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, keys: Sequence[bytes]) -> set[bytes]:
        """Add *keys*, some hundred at a time; return those that are new."""
        query = f"SELECT key FROM keys WHERE key IN ({marks(keys)})"
        fresh = set(keys).difference(key for (key,) in self._db.execute(query, list(keys)))
        self._db.executemany("INSERT INTO keys VALUES (?)", ((key,) for key in sorted(fresh)))
        return fresh


class Known:
    """Looks up answers by request key, and rows that need not be asked."""

    def __init__(self, log: Path) -> None:
        self._db = _private(_TABLES)
        self._logs = [log]
        self._end = 0
        self._recent: dict[bytes, int] = {}
        """Where the records of this attempt start that aren't in the database, by stored key."""
        self._unverified: dict[bytes, tuple[int, int]] = {}
        """Log and start of responses that are still to be checked, or that were rejected, by stored key."""
        self._any_seen = False
        """Whether there are answers in the database."""
        self.any_done = False
        """Whether anything was done before this attempt."""
        self.answered = False
        """Whether the engine ever answered: an earlier attempt, or a run that the cache remembers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, records: Iterable[Record], lines: Iterable[bytes]) -> None:
        """Note what this attempt appends to its log."""
        recent, end = self._recent, self._end
        for record, line in zip(records, lines, strict=True):
            for answer in record.answers:
                key = _stored_key(record, answer)
                if answer.verified:
                    recent[key] = end
                    self._unverified.pop(key, None)
                else:
                    self._unverified[key] = 0, end
            end += len(line)
        self._end = end

    def add_attempt(self, log: Path, *, retry_final: bool) -> None:
        """Take over what an earlier attempt answered and finished."""
        self._logs.append(log)
        number = len(self._logs) - 1
        for start, _, record in read_records(log):
            self._add_answers(record, number, start)
            result = record.result
            if record.rejected and (retry_final or result is None or result.state == MISSING):
                for key in record.rejected:  # the engine is to be asked again
                    self._unverified.pop(bytes.fromhex(key), None)
            if result is None:
                continue
            row = (record.point, result.id, result.sample)
            if result.state in (OK, ERROR):
                self._db.execute(_DONE, (*row, retry_final and result.state == ERROR))
            else:
                self._db.execute(_UNDONE, row)

    def _add_answers(self, record: Record, log: int, start: int) -> None:
        verified = []
        for answer in record.answers:
            key = _stored_key(record, answer)
            if answer.verified:
                verified.append((key, log, start))
                self._unverified.pop(key, None)
            else:
                self._unverified[key] = log, start
        self.answered = self.answered or bool(verified)
        self._insert(verified)

    def add_folded(self, point: int, source: Path, *, retry_final: bool) -> None:
        """Take over which rows a point's folder already has.

        Raises:
            UserError: its file is damaged.
        """
        with usable(source, "", "runner status makes it anew of what the attempts recorded"):
            db = connect(source)
            try:
                self._add_folded(point, db, retry_final=retry_final)
            finally:
                db.close()

    def _add_folded(self, point: int, db: sqlite3.Connection, *, retry_final: bool) -> None:
        if not holds(db, "results"):
            return
        require_columns(db, "results", "id", "sample", "state")
        require_columns(db, "responses", "key")
        query = "SELECT ?, id, sample, ? AND state = ? FROM results WHERE state IN (?, ?)"
        self._db.executemany(_DONE, db.execute(query, (point, retry_final, ERROR, OK, ERROR)))
        answered = db.execute("SELECT 1 FROM responses LIMIT 1").fetchone() is not None
        self.answered = self.answered or answered

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the responses that are in a log, by `records.stored_key`."""
        if len(self._recent) >= _RECENT:
            recent, self._recent = self._recent, {}
            self._insert(sorted((key, 0, start) for key, start in recent.items()))
        places = {key: (0, start) for key in keys if (start := self._recent.get(key)) is not None}
        if self._any_seen:
            query = f"SELECT key, log, start FROM seen WHERE key IN ({marks(keys)})"
            for key, log, start in self._db.execute(query, list(keys)):
                places.setdefault(key, (log, start))
        return {key: self._response(key, log, start) for key, (log, start) in places.items()}

    def holds_unverified(self, key: bytes) -> bool:
        """Tell whether a response to be checked is in a log."""
        return key in self._unverified

    def unverified(self, key: bytes) -> bytes:
        """Return a response to be checked."""
        return self._response(key, *self._unverified[key])

    def done(self, point: int, ids: Sequence[str]) -> set[tuple[str, int]]:
        """Return which (id, sample) of *ids* are done."""
        query = f"SELECT id, sample FROM done WHERE point = ? AND id IN ({marks(ids)}) AND NOT again"
        return set(self._db.execute(query, (point, *ids)))

    def failed(self, point: int, row: str, sample: int) -> bool:
        """Tell whether a result that is asked again is a final error so far."""
        query = "SELECT 1 FROM done WHERE point = ? AND id = ? AND sample = ? AND again"
        return self._db.execute(query, (point, row, sample)).fetchone() is not None

    def count_done(self, point: int) -> int:
        """Return how many results of a point are done."""
        count = int(
            self._db.execute("SELECT count(*) FROM done WHERE point = ? AND NOT again", (point,)).fetchone()[
                0
            ]
        )
        self.any_done = self.any_done or count > 0
        return count

    def _insert(self, seen: Sequence[tuple[bytes, int, int]]) -> None:
        for first in range(0, len(seen), _AT_ONCE):
            some = seen[first : first + _AT_ONCE]
            rows = ",".join(["(?,?,?)"] * len(some))
            self._db.execute(f"INSERT OR REPLACE INTO seen VALUES {rows}", list(chain.from_iterable(some)))
            self._any_seen = True

    def _response(self, key: bytes, log: int, start: int) -> bytes:
        record = read_record(self._logs[log], start)
        return next(response_stored(a.response) for a in record.answers if _stored_key(record, a) == key)


def _stored_key(record: Record, answer: Answer) -> bytes:
    key = bytes.fromhex(answer.key)
    return key if record.owner is None else stored_key(key, record.point, record.owner)


def _private(tables: str) -> sqlite3.Connection:
    """Open a database of nobody else's."""
    # An empty name is SQLite's private database on disk, gone when it is closed.
    db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    db.executescript(_QUICK + tables)
    # One transaction to the end: a commit costs the more, the more rows there are.
    db.execute("BEGIN")
    return db
