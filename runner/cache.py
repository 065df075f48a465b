"""The cache that runs share: ``runs/.cache.sqlite``, responses by request key.

A row of the table is (key, canonical request, response, checksum). Written by folds, read by everyone.
Two runs at the same moment may each pay for the same request; afterwards nobody does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from runner.checksums import checksum, intact
from runner.notices import notice
from runner.sqlite_errors import REMAKE, CacheDamagedError, SchemaError, usable
from runner.values import request_key

BATCH = 500
"""Keys asked for at once, and rows committed at once."""

_SHARE = 100_000
"""Responses added in one transaction: others wait no longer than that takes."""

BUSY_SECONDS = 120
"""How long to wait for another writer of the same file."""

_RESPONSES = """
CREATE TABLE IF NOT EXISTS responses(
  key BLOB PRIMARY KEY, request BLOB NOT NULL, response BLOB NOT NULL, checksum INTEGER)
"""

_ADD = "INSERT INTO main.responses(key, request, response, checksum)"
_KEEP = """
ON CONFLICT(key) DO UPDATE SET
  request = excluded.request, response = excluded.response, checksum = excluded.checksum
  WHERE NOT intact(responses.key, responses.response, responses.checksum)
"""
"""What is stored stays, unless it is damaged."""
_REPLACE = """
ON CONFLICT(key) DO UPDATE SET
  request = excluded.request, response = excluded.response, checksum = excluded.checksum
  WHERE intact(excluded.key, excluded.response, excluded.checksum)
"""
"""What is new takes the place of what is stored, unless it is damaged."""


def connect(path: Path, *, wait: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a SQLite file with the settings that a shared filesystem needs; others are waited for so long."""
    with ExitStack() as stack:
        db = stack.enter_context(closing(sqlite3.connect(path, timeout=wait, check_same_thread=False)))
        db.execute("PRAGMA page_size = 8192")  # of a new file: four to eight responses fill a page
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA synchronous = NORMAL")
        # KiB: the index over a million keys, which are inserted in random order, mostly fits.
        db.execute("PRAGMA cache_size = -65536")
        stack.pop_all()
    return db


def holds(db: sqlite3.Connection, table: str) -> bool:
    """Tell whether a file has a table: one that was made a moment ago, or whose maker was killed, may not."""
    query = "SELECT 1 FROM sqlite_master WHERE lower(name) = ?"
    return db.execute(query, (table,)).fetchone() is not None


def require_columns(db: sqlite3.Connection, table: str, *names: str) -> bool:
    """Make sure that a table has some columns; return whether it has one for checksums.

    Raises:
        SchemaError: it hasn't.
    """
    there = {str(row[1]).lower() for row in db.execute(f"PRAGMA table_info({table})")}
    if lacking := [name for name in names if name not in there]:
        raise SchemaError(f"its table {table} has no column {lacking[0]}")
    return "checksum" in there


def make_responses(db: sqlite3.Connection) -> None:
    """Make the table of responses where there is none, within a transaction that may write.

    A table of an earlier version gets its column for checksums; what it holds stays, without any.
    """
    db.execute(_RESPONSES)
    if not require_columns(db, "responses", "key", "request", "response"):
        db.execute("ALTER TABLE responses ADD COLUMN checksum INTEGER")


def marks(values: Collection[object]) -> str:
    """Return as many SQL placeholders as there are values."""
    return ",".join("?" * len(values))


class ResponseCache:
    """The shared cache, open for reading; a file that isn't there holds nothing, nor does None.

    An entry that is damaged counts as none, and a notice says so.

    Raises:
        UserError: where it is opened or read, if the file is damaged or can't be read.
    """

    def __init__(self, path: Path | None, *, wait: float = BUSY_SECONDS) -> None:
        """Open the cache at *path*; whoever writes to it is waited for so many seconds at most."""
        self._path = path or Path()
        self._db: sqlite3.Connection | None = None
        self._checksum = "NULL"
        if path is None:
            return
        with usable(path), ExitStack() as stack:
            if path.exists():
                db = stack.enter_context(closing(connect(path, wait=wait)))
                if holds(db, "responses"):
                    if require_columns(db, "responses", "key", "request", "response"):
                        self._checksum = "checksum"
                    self._db = db
                    stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __bool__(self) -> bool:
        return self._db is not None

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored responses of *keys*, at most `BATCH` of them at once."""
        if self._db is None or not keys:
            return {}
        query = f"SELECT key, response, {self._checksum} FROM responses WHERE key IN ({marks(keys)})"
        found = {}
        with usable(self._path):
            for key, response, stored in self._db.execute(query, sorted(keys)):
                if intact(key, response, stored):
                    found[key] = response
                else:
                    notice(
                        f"damaged entry ignored in {self._path}: the request is sent again, "
                        "and its answer replaces what is stored"
                    )
        return found

    def requests(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, canonical request) of everything stored."""
        if self._db is None:
            return
        with usable(self._path):
            for key, request in self._db.execute("SELECT key, request FROM responses"):
                if isinstance(request, bytes) and request_key(request) == key:
                    yield key, request
                else:
                    notice(f"damaged entry ignored in {self._path}")


def store_responses(path: Path, rows: Sequence[tuple[bytes, bytes, bytes]], *, replace: bool) -> None:
    """Add responses, each with its key and canonical request, to the shared cache; made where it isn't there.

    What is stored under the same key stays, unless it is damaged or *replace* is given.

    Raises:
        UserError: the file is damaged or can't be written.
    """
    with usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_connect_writing(path)) as db:
            _begin(db)
            checked = [(key, request, response, checksum(key, response)) for key, request, response in rows]
            db.executemany(f"{_ADD} VALUES (?,?,?,?) {_REPLACE if replace else _KEEP}", checked)
            db.execute("COMMIT")


def add_responses(path: Path, source: Path, *, after: int, replace: bool) -> None:
    """Add the responses of a point's file to the shared cache.

    Args:
        path: the shared cache; made where it isn't there.
        source: a point's ``cache.sqlite``.
        after: rowid of the last response that was added before.
        replace: overwrite what is stored under the same keys, as ``cache: refresh`` asks; what is damaged
            is overwritten in any case.

    Raises:
        UserError: a file is damaged, or can't be used; the message names it.
    """
    try:
        with usable(path):
            _add_responses(path, source, after=after, replace=replace)
    except CacheDamagedError:
        _require_sound(source)  # SQLite doesn't say which of the two it is
        raise


def _require_sound(source: Path) -> None:
    """Read a point's responses, as `add_responses` does.

    Raises:
        CacheDamagedError: the file is damaged.
    """
    with usable(source, "", REMAKE), closing(connect(source)) as db:
        for _ in db.execute("SELECT key, request, response, checksum FROM responses"):
            pass


def _add_responses(path: Path, source: Path, *, after: int, replace: bool) -> None:
    with closing(_connect_writing(path)) as db:
        db.execute("ATTACH ? AS source", (str(source),))
        _begin(db)
        db.execute("COMMIT")
        end = db.execute("SELECT coalesce(max(rowid), 0) FROM source.responses").fetchone()[0]
        for start in range(after, end, _SHARE):
            db.execute(
                f"{_ADD} SELECT key, request, response, checksum FROM source.responses "
                f"WHERE rowid > ? AND rowid <= ? {_REPLACE if replace else _KEEP}",
                (start, start + _SHARE),
            )


def _connect_writing(path: Path) -> sqlite3.Connection:
    db = connect(path)
    db.isolation_level = None
    db.create_function("intact", 3, intact, deterministic=True)
    return db


def _begin(db: sqlite3.Connection) -> None:
    """Begin to write, with the table there."""
    db.execute("BEGIN IMMEDIATE")
    make_responses(db)
