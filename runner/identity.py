"""What identifies a model and an engine in every request key, wherever they lie and however they run."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import platformdirs

from runner.engines.base import EngineKind
from runner.engines.registry import NEUTRAL
from runner.engines.weights import weights_folder
from runner.spec import EngineSettings, Model
from runner.values import Json, Scope, canonical_json


def make_scope(model: Model, engine: EngineSettings, kind: EngineKind, *, strict: bool = False) -> Scope:
    """Return the identity of a model on an engine.

    Local weights, tokenizers and chat templates count by content; a hub model by the commit that
    the local hub cache resolves it to; a served model by its name and revision. A base URL counts
    unless ``model.revision`` names what it serves. With *strict* the version of the engine's package
    counts too.
    """
    identity = _engine(model, engine, kind)
    if strict and (version := kind.installed_version()) is not None:
        identity["version"] = version
    return Scope(model=_model(model, local=kind.capabilities.local), engine=identity)


def _engine(model: Model, engine: EngineSettings, kind: EngineKind) -> dict[str, Json]:
    left_out = NEUTRAL | kind.neutral | ({"base_url"} if model.revision is not None else set())
    settings = engine.model_dump(mode="json", exclude=set(left_out), exclude_none=True)
    return {"kind": kind.name, **settings}


def _model(model: Model, *, local: bool) -> dict[str, Json]:
    identity: dict[str, Json] = {
        name: value for name in ("dtype", "quantization") if (value := getattr(model, name)) is not None
    }
    for name in ("tokenizer", "chat_template"):
        if (value := getattr(model, name)) is not None:
            identity[name] = content_hash(Path(value)) if Path(value).exists() else value
    folder = weights_folder(model) if local else None
    if folder is not None and folder.parent.name != "snapshots":
        return {"weights": content_hash(folder), **identity}
    # A snapshot's folder is named after its commit.
    revision = model.revision if folder is None else folder.name
    return {"name": model.name, **({"revision": revision} if revision else {}), **identity}


@cache
def content_hash(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, or of the names and hashes of all files of a folder.

    Hidden files and notes (``*.md``) don't count. Hashes of files are remembered by path, size and
    modification time, in the user's cache folder.
    """
    memo = _Memo()
    try:
        if path.is_file():
            return memo.hash(path)
        parts = [(str(file.relative_to(path)), memo.hash(file)) for file in _files(path)]
    finally:
        memo.close()
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden and file.suffix != ".md":
            yield file


class _Memo:
    """Remembers file hashes, so that large weights are read once."""

    def __init__(self) -> None:
        folder = platformdirs.user_cache_path("runner", appauthor=False)
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "hashes.sqlite", timeout=60)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS hashes(path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, hash TEXT)"
        )

    def close(self) -> None:
        self._db.close()

    def hash(self, file: Path) -> str:
        real = file.resolve()
        stat = real.stat()
        row = self._db.execute(
            "SELECT hash FROM hashes WHERE path = ? AND size = ? AND mtime = ?",
            (str(real), stat.st_size, stat.st_mtime_ns),
        ).fetchone()
        if row is not None:
            return str(row[0])
        with real.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO hashes VALUES (?,?,?,?)",
                (str(real), stat.st_size, stat.st_mtime_ns, digest),
            )
        return digest
