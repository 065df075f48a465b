"""Files by content: their hashes, remembered so that large weights are read once."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs

from runner.values import canonical_json

WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"})

_BUSY_SECONDS = 60

_SETTLED = 2_000_000_000
"""Nanoseconds: a file that changed less long ago may change again without its time telling."""


def content_hash(path: Path, *, weights: bool = True) -> str:
    """Return the SHA-256 (hex) of a file, or of the names and hashes of all files of a folder.

    Hidden files and notes (``*.md``) don't count, nor, if so asked, a model's *weights*. Hashes of
    files are remembered by path, size and modification time, in the user's cache folder.
    """
    memo = _Memo()
    try:
        if path.is_file():
            return memo.hash(path)
        parts = [
            (str(file.relative_to(path)), memo.hash(file)) for file in counted_files(path, weights=weights)
        ]
    finally:
        memo.close()
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def counted_files(folder: Path, *, weights: bool = True) -> Iterator[Path]:
    """Yield the files of a folder that its hash is made of."""
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        left_out = file.suffix == ".md" or (file.suffix in WEIGHTS and not weights)
        if file.is_file() and not hidden and not left_out:
            yield file


class _Memo:
    """File hashes in the user's cache folder; where that can't be used, nothing is remembered."""

    def __init__(self) -> None:
        folder = platformdirs.user_cache_path("runner", appauthor=False)
        self._db: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / "hashes.sqlite", timeout=_BUSY_SECONDS)
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS "
                "hashes(path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, hash TEXT)"
            )

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def hash(self, file: Path) -> str:
        real = file.resolve()
        stat = real.stat()
        version = (str(real), stat.st_size, stat.st_mtime_ns)
        if (known := self._find(version)) is not None:
            return known
        with real.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if time.time_ns() - stat.st_mtime_ns > _SETTLED:
            self._keep(version, digest)
        return digest

    def _find(self, version: tuple[str, int, int]) -> str | None:
        query = "SELECT hash FROM hashes WHERE path = ? AND size = ? AND mtime = ?"
        with suppress(sqlite3.Error):
            row = None if self._db is None else self._db.execute(query, version).fetchone()
            return None if row is None else str(row[0])
        return None

    def _keep(self, version: tuple[str, int, int], digest: str) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error), self._db:
                self._db.execute("INSERT OR REPLACE INTO hashes VALUES (?,?,?,?)", (*version, digest))
