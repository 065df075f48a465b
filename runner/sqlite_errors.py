"""Errors of SQLite files: which file it is, whether it is damaged, and what helps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import UserError

_PRIMARY = 0xFF
"""The part of SQLite's result codes that names the kind of error."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNUSABLE = frozenset({
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
})

REMAKE = "delete it, and it is made anew of what the attempts recorded"
"""What helps where a point's file is damaged."""

WITHOUT = "; cache=false does without"
"""How an experiment does without the cache."""
_MOVE = f"move it away: later runs then start a new one, and every run keeps its own answers{WITHOUT}"


class SchemaError(sqlite3.DatabaseError):
    """Raised when a file is a database, but not one of ours."""


class CacheDamagedError(UserError):
    """Raised when a SQLite file is damaged, or none.

    Attributes:
        path: the file.
    """

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class CacheUnusableError(UserError):
    """Raised when a file can't be read or written: a full disk, a folder that may only be read."""


class CacheBusyError(UserError):
    """Raised when others held the shared cache for longer than one would wait."""


def result_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 where Python found the error, not SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Tell whether an error means that the file is damaged, or is no SQLite file.

    A text that is not UTF-8 is damage too. Python raises an `OperationalError` without a code for one in a
    row, and a plain `UnicodeDecodeError` for one that SQLite's own message quotes, such as a table's name.
    """
    if isinstance(error, UnicodeDecodeError):
        return True
    code = result_code(error)
    return code in _DAMAGED or (not code and isinstance(error, sqlite3.OperationalError))


@contextmanager
def usable(path: Path, what: str = "the cache ", help_: str = _MOVE) -> Iterator[None]:
    """Say of a SQLite file that can't be read or written which it is, and what helps.

    Raises:
        UserError: it is damaged, or can't be used.
    """
    without = WITHOUT if help_ == _MOVE else ""
    try:
        yield
    except UnicodeDecodeError as error:
        raise CacheDamagedError(
            f"{what}{path} is damaged (its schema is not UTF-8); {help_}", path
        ) from error
    except sqlite3.DatabaseError as error:
        code = result_code(error)
        if is_damage(error) or isinstance(error, SchemaError):
            raise CacheDamagedError(f"{what}{path} is damaged ({error}); {help_}", path) from error
        if code == sqlite3.SQLITE_BUSY:
            raise CacheBusyError(f"{what}{path} can't be used: {error}{without}") from error
        if code in _UNUSABLE:
            raise CacheUnusableError(f"{what}{path} can't be used: {error}{without}") from error
        raise
    except OSError as error:
        raise CacheUnusableError(f"{what}{path} can't be used: {error.strerror}{without}") from error
