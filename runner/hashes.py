"""Files and folders by content: their hashes; those of large files are remembered."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from runner.errors import UserError
from runner.hash_memo import FileVersion, HashMemo
from runner.values import canonical_json

WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"})

ALWAYS_HASHED = 1024 * 1024
"""Files up to this size (bytes) are read every time: it takes a millisecond, ten on a slow network."""

_SETTLED = 2_000_000_000
"""Nanoseconds: a file that changed less long ago may change again without its times telling."""

TRIES = 5
"""How often a file is read that changes meanwhile."""

CHANGING = "changes while it is read: wait until it is written, then try again"


class _Content(NamedTuple):
    """A file's bytes: their SHA-256 (hex) and their number."""

    digest: str
    size: int


def content_hash(path: Path, *, weights: bool = True) -> str:
    """Return the SHA-256 (hex) of a file, or of the names and hashes of all files of a folder.

    Hidden files and notes (``*.md``) don't count, nor, if so asked, a model's *weights*. What changes while
    it is read is read again. Hashes of files above `ALWAYS_HASHED` are remembered.

    Raises:
        UserError: the files don't stop changing, or can't be read.
        FileNotFoundError: there is no such file or folder.
    """
    return _hashed(path, weights=weights).digest


def file_content(path: Path) -> tuple[str, int]:
    """Return the SHA-256 (hex) and the size of a file; raises as `content_hash` does."""
    return _hashed(path, weights=True)


def counted_files(folder: Path, *, weights: bool = True) -> Iterator[Path]:
    """Yield the files of a folder that its hash is made of, those of linked folders among them."""
    for file in sorted(_files(folder, frozenset())):
        if file.suffix != ".md" and (weights or file.suffix not in WEIGHTS):
            yield file


def file_version(path: Path) -> FileVersion:
    """Return what tells one version of a file from another without reading it."""
    real = path.resolve(strict=True)
    return FileVersion.of(str(real), real.stat())


def _files(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Yield all files below a folder but hidden ones; a link to a folder *above* leads nowhere."""
    real = folder.resolve()
    if real in above:
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, above | {real})
        elif path.is_file():
            yield path


def _hashed(path: Path, *, weights: bool) -> _Content:
    with closing(HashMemo()) as memo:
        for _ in range(TRIES):
            try:
                before = _versions(path, weights=weights)
                content = _content(path, before, memo)
                if _versions(path, weights=weights) == before:
                    return content
            except FileNotFoundError:
                if not path.exists():
                    raise
            except OSError as error:
                raise UserError(f"{error.filename or path} can't be read: {error.strerror}") from error
    raise UserError(f"{path} {CHANGING}")


def _versions(path: Path, *, weights: bool) -> list[tuple[str, FileVersion]]:
    """Return the files that a hash is made of, with their names in the folder; a lone file has none."""
    if not path.is_dir():
        return [("", file_version(path))]
    files = counted_files(path, weights=weights)
    return [(str(file.relative_to(path)), file_version(file)) for file in files]


def _content(path: Path, versions: Iterable[tuple[str, FileVersion]], memo: HashMemo) -> _Content:
    parts = [(name, version.size, _file_hash(version, memo)) for name, version in versions]
    size = sum(size for _, size, _ in parts)
    if not path.is_dir():
        return _Content(parts[0][2], size)
    # Names that are not UTF-8 have no JSON of their own.
    named = [(os.fsencode(name).decode(errors="backslashreplace"), digest) for name, _, digest in parts]
    return _Content(hashlib.sha256(canonical_json(named)).hexdigest(), size)


def _file_hash(version: FileVersion, memo: HashMemo) -> str:
    """Return the hash of a file; what is remembered was read from exactly this version."""
    large = version.size > ALWAYS_HASHED
    if large and (known := memo.find(version)) is not None:
        return known
    # Of a clock that is ahead the times never settle, and nothing is remembered.
    settled = time.time_ns() - max(version.mtime, version.ctime) > _SETTLED
    with Path(version.path).open("rb") as stream:
        before = FileVersion.of(version.path, os.fstat(stream.fileno()))
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        after = FileVersion.of(version.path, os.fstat(stream.fileno()))
    if large and settled and before == after == version:
        memo.keep(version, digest)
    return digest
