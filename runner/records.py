"""What an attempt writes: ``records.jsonl``, one record a line, only ever appended to.

A line holds new answers, the result that they led to, or both. What was paid for is written before anything
is done with it that may fail or take long: such a result has a line of its own. A line
counts once its newline is there: a writer that is killed leaves at most one cut line at the end. Plain
appending needs no locks and no index, which is what a network filesystem does well, and costs a
fraction of what a database would; what is to be looked up is folded into SQLite later (`runner.points`).

The last field of a line, ``crc``, is the CRC-32 of the line without it. A line that is damaged counts as
never written: its rows are missing. Lines of earlier versions have no such field and are taken as they are.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import msgspec

from runner.errors import UserError
from runner.notices import notice
from runner.presence import OpenedFile
from runner.runs import PUT_BACK
from runner.values import canonical_json

RECORDS_FILE = "records.jsonl"

STEP = "main"
"""The one step of an experiment without ``steps:``."""

OK = "ok"
ERROR = "error"
"""Final for the row: not asked again unless told to."""
MISSING = "missing"
"""Failed for now: a resume asks again."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A response under its request key (hex); both are JSON as it was or will be sent.

    Attributes:
        verified: False where it lacks what was asked, or that was still to be checked: it answers no
            request, but is kept. One that passes its check is in a later record too.
    """

    key: str
    request: msgspec.Raw
    response: msgspec.Raw
    verified: bool = True


class Result(msgspec.Struct, frozen=True, gc=False):
    """One line of results.jsonl with what orders and counts it."""

    id: str
    sample: int
    position: int
    state: str
    line: msgspec.Raw


class Record(msgspec.Struct, frozen=True, gc=False):
    """New answers, the result that they led to, or both: what is committed together.

    Attributes:
        point: index of the point.
        answers: new responses, requested or copied from the cache; empty where they are in an earlier record.
        result: None while a conversation goes on, and where the answers are yet to be checked or scored.
        time: Unix time when it was made, moments before its commit.
        step: which model call of the experiment this is.
        owner: row id and sample whose own the answers are; None where they serve any equal request.
        rejected: what unverified answers that lack what was asked are looked up by (hex).
    """

    point: int
    answers: tuple[Answer, ...]
    result: Result | None = None
    time: float = 0.0
    step: str = STEP
    owner: tuple[str, int] | None = None
    rejected: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def stored_key(key: bytes, point: int, owner: tuple[str, int] | None) -> bytes:
    """Return what an answer is looked up by: its request's key, or, where it is somebody's own, his own."""
    if owner is None:
        return key
    return hashlib.sha256(key + canonical_json([point, *owner])).digest()


_KEY_BYTES = 32
_CRC = b',"crc":'
_END = b"}\n"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class RecordLog:
    """An attempt's records, open for appending; one writer a file.

    `encode` and `append` are apart because the first costs time and the second waits for a disk.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self.gone = OpenedFile(path, self._fd).gone
        """Tells why the file is no longer at its path; empty while it is."""
        self._failed: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @staticmethod
    def encode(records: Iterable[Record]) -> list[bytes]:
        """Return a line for each record."""
        lines = map(_encode, records)
        return [b"%b%b%d}\n" % (line[:-1], _CRC, zlib.crc32(line)) for line in lines]

    def append(self, lines: Iterable[bytes]) -> None:
        """Write whole lines; they are on disk when this returns.

        Raises:
            OSError: they could not be written, for want of space, say; nothing is written any more
                then, as a fold may already stand behind what is taken back.
        """
        if self._failed is not None:
            raise self._failed
        left = memoryview(b"".join(lines))
        start = os.fstat(self._fd).st_size
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            os.fdatasync(self._fd)
        except OSError as error:
            self._failed = error
            os.ftruncate(self._fd, start)  # a cut line may only ever be the last one
            raise


def read_records(path: Path, start: int = 0) -> Iterator[tuple[int, int, Record]]:
    """Yield each whole record from byte *start* on, with the bytes where its line starts and ends.

    Damaged lines are passed over, and a notice says so.

    Raises:
        UserError: a whole line is sound, but no record.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            end = start + len(line)
            if (record := _record(line, path, start)) is not None:
                yield start, end, record
            start = end


def read_record(path: Path, start: int) -> Record:
    """Return the record whose line starts at byte *start*.

    Raises:
        UserError: it was damaged since it was found there.
    """
    with path.open("rb") as file:
        file.seek(start)
        if (record := _record(file.readline(), path, start)) is None:
            raise damaged_record(path, start, "it was sound a moment ago")
        return record


def damaged_record(path: Path, start: int, problem: object) -> UserError:
    """Return what says that a line is no record of this run."""
    return UserError(f"{path} is damaged at byte {start:,} ({problem}): {PUT_BACK}")


def _require_key(key: str) -> None:
    """Raise `msgspec.ValidationError` where a key is none; a pattern takes four times as long."""
    try:
        if len(key) == 2 * _KEY_BYTES == 2 * len(bytes.fromhex(key)):
            return
    except ValueError:
        pass
    raise msgspec.ValidationError(f"the key of an answer is {key[:80]!r}")


def _record(line: bytes, path: Path, start: int) -> Record | None:
    body, mark, rest = line.rpartition(_CRC)
    number = rest.removesuffix(_END)
    if not mark or not number.isdigit() or zlib.crc32(b"}", zlib.crc32(body)) == int(number):
        try:
            record = _decode(line)
            for answer in record.answers:
                _require_key(answer.key)
        except msgspec.ValidationError as error:  # JSON, but no damage makes that of a record
            raise damaged_record(path, start, error) from None
        except msgspec.DecodeError:
            pass
        else:
            return record
    notice(f"damaged records ignored in {path}: a resume asks again for what is missing without them")
    return None


def by_point(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Group records by the point they belong to."""
    groups: dict[int, list[Record]] = {}
    for record in records:
        if (group := groups.get(record.point)) is None:
            group = groups[record.point] = []
        group.append(record)
    return groups
