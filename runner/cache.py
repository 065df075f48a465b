"""The cache that runs share: ``runs/.cache.sqlite``, responses by request key.

A row of the table is (key, canonical request, response). Written by folds, read by everyone.
Two runs at the same moment may each pay for the same request; afterwards nobody does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

from runner.errors import UserError

BATCH = 500
"""Keys asked for at once, and rows committed at once."""

_SHARE = 100_000
"""Responses added in one transaction: others wait no longer than that takes."""

BUSY_SECONDS = 120
"""How long to wait for another writer of the same file."""

_PRIMARY = 0xFF
"""Of SQLite's result codes: what they say at large."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNUSABLE = frozenset({
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
})

RESPONSES = """
CREATE TABLE IF NOT EXISTS responses(key BLOB PRIMARY KEY, request BLOB NOT NULL, response BLOB NOT NULL);
"""


class CacheUnusableError(UserError):
    """Raised when a file can't be read or written: a full disk, a folder that may only be read."""


class CacheBusyError(UserError):
    """Raised when others held the shared cache for longer than one would wait."""


def connect(path: Path, *, wait: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a SQLite file with the settings that a shared filesystem needs; others are waited for so long."""
    with ExitStack() as stack:
        db = stack.enter_context(closing(sqlite3.connect(path, timeout=wait, check_same_thread=False)))
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA synchronous = NORMAL")
        # KiB: the index over a million keys, which are inserted in random order, mostly fits.
        db.execute("PRAGMA cache_size = -65536")
        stack.pop_all()
    return db


def holds(db: sqlite3.Connection, table: str, schema: str = "main") -> bool:
    """Tell whether a file has a table: one that was made a moment ago, or whose maker was killed, may not."""
    query = f"SELECT 1 FROM {schema}.sqlite_master WHERE name = ?"
    return db.execute(query, (table,)).fetchone() is not None


def marks(values: Collection[object]) -> str:
    """Return as many SQL placeholders as there are values."""
    return ",".join("?" * len(values))


_MOVE = "move it away: later runs then start a new one, and every run keeps its own answers"


@contextmanager
def usable(path: Path, what: str = "the cache ", help_: str = _MOVE) -> Iterator[None]:
    """Say of a SQLite file that can't be read or written which it is, and what helps.

    Raises:
        UserError: it is damaged, or can't be used.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        if code in _DAMAGED:
            raise UserError(f"{what}{path} is damaged ({error}); {help_}") from error
        if code == sqlite3.SQLITE_BUSY:
            raise CacheBusyError(f"{what}{path} can't be used: {error}") from error
        if code in _UNUSABLE:
            raise CacheUnusableError(f"{what}{path} can't be used: {error}") from error
        raise
    except OSError as error:
        raise CacheUnusableError(f"{what}{path} can't be used: {error.strerror}") from error


class ResponseCache:
    """The shared cache, open for reading; a file that isn't there holds nothing.

    Raises:
        UserError: where it is opened or read, if the file is damaged or can't be read.
    """

    def __init__(self, path: Path, *, wait: float = BUSY_SECONDS) -> None:
        """Open the cache at *path*; whoever writes to it is waited for so many seconds at most."""
        self._path = path
        self._db: sqlite3.Connection | None = None
        with usable(path), ExitStack() as stack:
            if path.exists():
                db = stack.enter_context(closing(connect(path, wait=wait)))
                if holds(db, "responses"):
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
        query = f"SELECT key, response FROM responses WHERE key IN ({marks(keys)})"
        with usable(self._path):
            return dict(self._db.execute(query, sorted(keys)))

    def requests(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, canonical request) of everything stored."""
        if self._db is not None:
            with usable(self._path):
                yield from self._db.execute("SELECT key, request FROM responses")


def store_responses(path: Path, rows: Sequence[tuple[bytes, bytes, bytes]], *, replace: bool) -> None:
    """Add responses, each with its key and canonical request, to the shared cache; made where it isn't there.

    Raises:
        UserError: the file is damaged or can't be written.
    """
    with usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(connect(path)) as db:
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            db.execute(RESPONSES)
            verb = "REPLACE" if replace else "IGNORE"
            db.executemany(f"INSERT OR {verb} INTO responses VALUES (?,?,?)", rows)
            db.execute("COMMIT")


def add_responses(path: Path, source: Path, *, after: int, replace: bool) -> None:
    """Add the responses of a point's file to the shared cache.

    Args:
        path: the shared cache; made where it isn't there.
        source: a point's ``cache.sqlite``.
        after: rowid of the last response that was added before.
        replace: overwrite what is stored under the same keys, as ``cache: refresh`` asks.
    """
    with usable(path), closing(connect(path)) as db:
        db.isolation_level = None
        db.execute(RESPONSES)
        db.execute("ATTACH ? AS source", (str(source),))
        verb = "REPLACE" if replace else "IGNORE"
        end = db.execute("SELECT coalesce(max(rowid), 0) FROM source.responses").fetchone()[0]
        for start in range(after, end, _SHARE):
            db.execute(
                f"INSERT OR {verb} INTO main.responses SELECT key, request, response FROM source.responses "
                "WHERE rowid > ? AND rowid <= ?",
                (start, start + _SHARE),
            )
