"""Responses in the shared cache that no request is answered with: yet to be checked, or rejected.

An LLM has no records of its own: what it paid for is kept here until its check has passed.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from runner.cache import connect, holds
from runner.checksums import checksum, intact
from runner.notices import notice
from runner.sqlite_errors import usable

_TABLE = """
CREATE TABLE IF NOT EXISTS unverified(
  key BLOB PRIMARY KEY, request BLOB NOT NULL, response BLOB NOT NULL, rejected INTEGER NOT NULL,
  checksum INTEGER);
"""


def keep(path: Path, row: tuple[bytes, bytes, bytes], *, rejected: bool) -> None:
    """Keep a response with its key and canonical request; it is on disk when this returns.

    Raises:
        UserError: the cache is damaged or can't be written.
    """
    key, _, response = row
    with usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(connect(path)) as db, db:
            db.execute(_TABLE)
            db.execute(
                "INSERT OR REPLACE INTO unverified VALUES (?,?,?,?,?)",
                (*row, rejected, checksum(key, response)),
            )


def pending(path: Path, key: bytes) -> bytes | None:
    """Return a response that is yet to be checked; a damaged one counts as none, and a notice says so.

    Raises:
        UserError: the cache is damaged or can't be read.
    """
    if not path.exists():
        return None
    with usable(path), closing(connect(path)) as db:
        if not holds(db, "unverified"):
            return None
        query = "SELECT response, checksum FROM unverified WHERE key = ? AND NOT rejected"
        found = db.execute(query, (key,)).fetchone()
    if found is None:
        return None
    if not intact(key, *found):
        notice(f"damaged entry ignored in {path}: the request is sent again")
        return None
    return bytes(found[0])


def remove(path: Path, key: bytes) -> None:
    """Remove a response that has passed its check.

    Raises:
        UserError: the cache is damaged or can't be written.
    """
    with usable(path), closing(connect(path)) as db, db:
        db.execute("DELETE FROM unverified WHERE key = ?", (key,))
