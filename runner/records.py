"""The SQLite files of attempts and points.

Rollback journal throughout, never WAL: runs may lie on a network filesystem. One writer a file:
an attempt writes its own ``records.sqlite``; a point's ``cache.sqlite`` is written by whoever
holds the run folder's lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

import msgspec

from runner.cache import BATCH, RESPONSES, connect, holds, marks
from runner.values import Json

OK = "ok"
ERROR = "error"
"""Final for the row: not asked again unless told to."""
MISSING = "missing"
"""Failed for now: a resume asks again."""

_RECORDS = """
CREATE TABLE IF NOT EXISTS responses(
  key BLOB NOT NULL, point INTEGER NOT NULL, request BLOB NOT NULL, response BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS results(
  point INTEGER NOT NULL, step TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
  position INTEGER NOT NULL, state TEXT NOT NULL, time REAL NOT NULL, line BLOB NOT NULL);
"""
_ROWS_A_STATEMENT = 250

# What a worker needs to look up lies in temporary tables: the file itself is only ever appended to, so
# that a commit writes a few pages one after the other. An index in it would cost more than all the rest.
_LOOKUPS = """
PRAGMA temp_store = FILE;
CREATE TEMP TABLE done(
  point INTEGER, id TEXT, sample INTEGER, PRIMARY KEY(point, id, sample)) WITHOUT ROWID;
CREATE TEMP TABLE seen(key BLOB PRIMARY KEY, attempt INTEGER, row INTEGER) WITHOUT ROWID;
"""
_POINT = f"""
{RESPONSES}
CREATE TABLE IF NOT EXISTS results(
  step TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
  position INTEGER NOT NULL, state TEXT NOT NULL, time REAL NOT NULL, line BLOB NOT NULL,
  PRIMARY KEY(step, id, sample));
CREATE TABLE IF NOT EXISTS folded(
  attempt TEXT PRIMARY KEY, responses INTEGER NOT NULL, results INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO marks VALUES ('changed', 0), ('exported', 0), ('shared', 0);
"""
_UPSERT = """
INSERT INTO results(step, id, sample, position, state, time, line) {source}
ON CONFLICT(step, id, sample) DO UPDATE SET
  position = excluded.position, state = excluded.state, time = excluded.time, line = excluded.line
  WHERE excluded.time >= results.time
"""


class Answer(msgspec.Struct, frozen=True):
    """A response as it is stored, under its request key."""

    key: bytes
    request: bytes
    response: bytes


class Result(msgspec.Struct, frozen=True):
    """One line of results.jsonl with what orders and counts it."""

    id: str
    sample: int
    position: int
    state: str
    line: bytes


class Record(msgspec.Struct, frozen=True):
    """New answers and the result they led to, committed together.

    ``result`` is None while a conversation goes on.
    """

    point: int
    answers: tuple[Answer, ...]
    result: Result | None = None


class AttemptRecords:
    """``records.sqlite`` of one attempt, open for writing, with the earlier attempts' beside it."""

    def __init__(self, path: Path, earlier: Sequence[Path] = ()) -> None:
        self._db = connect(path)
        # Commits are many here: emptying the journal is cheaper than removing it each time.
        self._db.execute("PRAGMA journal_mode = TRUNCATE")
        self._db.executescript(f"BEGIN; {_RECORDS} COMMIT; {_LOOKUPS}")
        self.any_done = False
        """Whether anything was done before this attempt."""
        self._row = 0
        self._sources = [self._db]
        for number, file in enumerate(earlier, start=1):
            self._sources.append(connect(file))
            if not holds(self._sources[number], "responses"):
                continue
            rows = self._sources[number].execute("SELECT key, ?, rowid FROM responses", (number,))
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?,?,?)", rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.execute("PRAGMA journal_mode = DELETE")
        for db in self._sources:
            db.close()

    def stage(self, records: Iterable[Record], step: str) -> None:
        """Put *records* into the open transaction; nothing waits for a disk yet."""
        now = time.time()
        answers, results = [], []
        for record in records:
            answers += [(a.key, record.point, a.request, a.response) for a in record.answers]
            if (r := record.result) is not None:
                results.append((record.point, step, r.id, r.sample, r.position, r.state, now, r.line))
        seen = [(answer[0], 0, row) for row, answer in enumerate(answers, start=self._row + 1)]
        self._insert("INSERT INTO responses VALUES ", answers)
        self._insert("INSERT INTO results VALUES ", results)
        self._insert("INSERT OR REPLACE INTO seen VALUES ", seen)
        self._row += len(answers)

    def commit(self) -> None:
        """Commit what is staged; it is on disk when this returns."""
        self._db.commit()

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert many rows by one statement.

        Every statement that SQLite steps through gives the interpreter lock away and takes it again,
        and the event loop's thread pays for that too.
        """
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            part = rows[start : start + _ROWS_A_STATEMENT]
            row = f"({marks(part[0])})"
            self._db.execute(statement + ",".join([row] * len(part)), list(chain.from_iterable(part)))

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the responses of *keys* that this or an earlier attempt holds."""
        query = f"SELECT key, attempt, row FROM seen WHERE key IN ({marks(keys)})"
        return {key: self._response(attempt, row) for key, attempt, row in self._db.execute(query, keys)}

    def _response(self, attempt: int, row: int) -> bytes:
        found = self._sources[attempt].execute("SELECT response FROM responses WHERE rowid = ?", (row,))
        return bytes(found.fetchone()[0])

    def mark_done(self, source: Path, *, retry_final: bool) -> None:
        """Count what an earlier attempt finished as done."""
        states = (OK,) if retry_final else (OK, ERROR)
        self._db.execute("ATTACH ? AS source", (str(source),))
        try:
            if not holds(self._db, "results", "source"):
                return
            self._db.execute(
                "INSERT OR IGNORE INTO done SELECT point, id, sample FROM source.results "
                f"WHERE state IN ({marks(states)})",
                states,
            )
            self._db.commit()
        finally:
            self._db.execute("DETACH source")

    def mark_folded(self, point: int, source: Path, *, retry_final: bool) -> None:
        """Count what a point's folder already holds as done."""
        states = (OK,) if retry_final else (OK, ERROR)
        self._db.execute("ATTACH ? AS source", (str(source),))
        try:
            if not holds(self._db, "results", "source"):
                return
            self._db.execute(
                "INSERT OR IGNORE INTO done SELECT ?, id, sample FROM source.results "
                f"WHERE state IN ({marks(states)})",
                (point, *states),
            )
            self._db.commit()
        finally:
            self._db.execute("DETACH source")

    def done(self, point: int, ids: Sequence[str]) -> set[tuple[str, int]]:
        """Return which (id, sample) of *ids* are done."""
        query = f"SELECT id, sample FROM done WHERE point = ? AND id IN ({marks(ids)})"
        return set(self._db.execute(query, (point, *ids)))

    def count_done(self, point: int) -> int:
        """Return how many results of a point are done."""
        count = int(self._db.execute("SELECT count(*) FROM done WHERE point = ?", (point,)).fetchone()[0])
        self.any_done = self.any_done or count > 0
        return count


class PointRecords:
    """``cache.sqlite`` of one point: its responses, its results, and how far attempts were folded."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.executescript(f"BEGIN IMMEDIATE; {_POINT} COMMIT;")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, answers: Iterable[Answer], results: Iterable[Result], step: str) -> None:
        """Commit answers that came from the shared cache, and the results they led to."""
        now = time.time()
        rows = ((step, r.id, r.sample, r.position, r.state, now, r.line) for r in results)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            all_shared = self.mark("shared") == self.last_response()
            self._db.executemany(
                "INSERT OR REPLACE INTO responses VALUES (?,?,?)",
                ((a.key, a.request, a.response) for a in answers),
            )
            self._db.executemany(_UPSERT.format(source="VALUES (?,?,?,?,?,?,?)"), rows)
            self._changed()
            if all_shared:
                self.set_mark("shared", self.last_response())

    def mark(self, name: str) -> int:
        """Return a mark: ``changed`` and ``exported`` count versions, ``shared`` is a response's rowid."""
        return int(self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()[0])

    def set_mark(self, name: str, value: int) -> None:
        """Set a mark; committed at once unless a transaction is open."""
        inside = self._db.in_transaction
        self._db.execute("UPDATE marks SET value = ? WHERE name = ?", (value, name))
        if not inside:
            self._db.commit()

    def last_response(self) -> int:
        """Return the highest rowid of a response."""
        return int(self._db.execute("SELECT coalesce(max(rowid), 0) FROM responses").fetchone()[0])

    def _changed(self) -> None:
        self._db.execute("UPDATE marks SET value = value + 1 WHERE name = 'changed'")

    def fold(self, point: int, attempt: str, source: Path) -> None:
        """Take over what an attempt has written since the last fold; all or nothing, and repeatable."""
        self._db.execute("ATTACH ? AS source", (str(source),))
        try:
            if not holds(self._db, "results", "source"):
                return
            with self._db:
                row = self._db.execute(
                    "SELECT responses, results FROM folded WHERE attempt = ?", (attempt,)
                ).fetchone()
                seen_responses, seen_results = row or (0, 0)
                top = self._db.execute(
                    "SELECT (SELECT coalesce(max(rowid), 0) FROM source.responses),"
                    " (SELECT coalesce(max(rowid), 0) FROM source.results)"
                ).fetchone()
                if tuple(top) == (seen_responses, seen_results):
                    return
                self._db.execute(
                    "INSERT OR REPLACE INTO responses SELECT key, request, response FROM source.responses"
                    " WHERE point = ? AND rowid > ?",
                    (point, seen_responses),
                )
                self._db.execute(
                    _UPSERT.format(
                        source="SELECT step, id, sample, position, state, time, line FROM source.results"
                        " WHERE point = ? AND rowid > ? ORDER BY rowid"
                    ),
                    (point, seen_results),
                )
                self._db.execute("INSERT OR REPLACE INTO folded VALUES (?,?,?)", (attempt, *top))
                self._changed()
        finally:
            self._db.execute("DETACH source")

    def lines(self) -> Iterator[bytes]:
        """Yield every result line in dataset order."""
        for (line,) in self._db.execute("SELECT line FROM results ORDER BY position, sample, step"):
            yield line

    def counts(self) -> dict[str, int]:
        """Return how many results are in each state."""
        return dict(self._db.execute("SELECT state, count(*) FROM results GROUP BY state"))

    def responses(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Yield (key, request, response) of everything asked."""
        yield from self._db.execute("SELECT key, request, response FROM responses")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored responses of *keys*."""
        query = f"SELECT key, response FROM responses WHERE key IN ({marks(keys)})"
        return dict(self._db.execute(query, list(keys)))

    def batches(self) -> Iterator[list[Json]]:
        """Yield decoded result lines in dataset order, in batches."""
        batch: list[Json] = []
        for line in self.lines():
            batch.append(msgspec.json.decode(line))
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch
