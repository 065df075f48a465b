"""Hashes of large files, kept in the user's cache folder so that the files are read once.

An entry holds for one version of a file: its path, size, inode, and times of modification and of change.
The kernel sets the time of change whenever the content or the inode changes, and no program can set it back.
The device is left out: it differs between the machines that share a file system.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import platformdirs

from runner.notices import notice
from runner.sqlite_errors import is_damage, result_code

MEMO_FILE = "hashes.sqlite"

_BUSY_SECONDS = 10
_Error = (sqlite3.Error, UnicodeDecodeError)

_TABLE = """
CREATE TABLE IF NOT EXISTS files(path BLOB PRIMARY KEY, version TEXT, hash TEXT, checksum INTEGER)
"""


class FileVersion(NamedTuple):
    """One version of a file; times are in nanoseconds."""

    path: str
    size: int
    mtime: int
    ctime: int
    inode: int

    @classmethod
    def of(cls, path: str, stat: os.stat_result) -> FileVersion:
        """Return the version of the file at *path*, all links resolved, as *stat* shows it."""
        return cls(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    @property
    def columns(self) -> tuple[bytes, str]:
        """The path, and all else as text: SQLite's integers are too small for some inodes."""
        return os.fsencode(self.path), " ".join(map(str, self[1:]))


class HashMemo:
    """Hashes by file version; where the folder can't be used, nothing is remembered and nothing fails."""

    def __init__(self) -> None:
        self._file = platformdirs.user_cache_path("runner", appauthor=False) / MEMO_FILE
        self._db: sqlite3.Connection | None = None
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        if not self._open():
            self._open()

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def find(self, version: FileVersion) -> str | None:
        """Return the hash of a version; None if it isn't known."""
        if self._db is None:
            return None
        try:
            query = "SELECT hash, checksum FROM files WHERE path = ? AND version = ?"
            row = self._db.execute(query, version.columns).fetchone()
        except _Error as error:
            self._give_up(error)
            return None
        if row is None or row[1] != _checksum(version, row[0]):
            return None
        return str(row[0])

    def keep(self, version: FileVersion, digest: str) -> None:
        """Remember the hash of a version."""
        if self._db is None:
            return
        row = (*version.columns, digest, _checksum(version, digest))
        try:
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO files VALUES (?,?,?,?)", row)
        except _Error as error:
            self._give_up(error)

    def _open(self) -> bool:
        """Open the file; False if it was damaged and another has taken its place."""
        try:
            self._db = _connect(self._file)
        except _Error as error:
            return not self._give_up(error)
        return True

    def _give_up(self, error: sqlite3.Error | UnicodeDecodeError) -> bool:
        """Close the file; replace it and return True if it is damaged, or has another schema."""
        self.close()
        # The statements are fixed: only another schema makes one of them wrong.
        other = isinstance(error, sqlite3.Error) and result_code(error) == sqlite3.SQLITE_ERROR
        if not is_damage(error) and not other:
            return False
        try:
            self._replace()
        except (OSError, *_Error):
            return False
        notice(f"{self._file} was damaged ({error}) and is replaced: large files are hashed again")
        return True

    def _replace(self) -> None:
        """Put an empty file in the place of this one; a process that has it open goes on with the old one."""
        fresh = self._file.with_name(f".{MEMO_FILE}.{os.getpid()}.tmp")
        fresh.unlink(missing_ok=True)
        _connect(fresh).close()
        self._file.with_name(f"{MEMO_FILE}-journal").unlink(missing_ok=True)
        fresh.replace(self._file)


def _connect(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=_BUSY_SECONDS)
    try:
        db.execute(_TABLE)
        db.execute("SELECT path, version, hash, checksum FROM files LIMIT 1").fetchone()
    except _Error:
        db.close()
        raise
    return db


def _checksum(version: FileVersion, digest: object) -> int:
    return zlib.crc32(repr((version.columns, digest)).encode())
