"""Reading a whole dataset once before anything runs: is every row sound, and which file is it?"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from runner.data.identity import content_hash, first_repeats, repeated, row_id
from runner.data.order import positions_of
from runner.data.rows import open_table
from runner.data.table import BadRecordError, bad_record
from runner.errors import UserError
from runner.hashes import CHANGING, TRIES, file_content, file_version
from runner.render import suggestion
from runner.values import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.data.guard import RowGuard
    from runner.data.table import Columns, Table
    from runner.spec import Dataset

Seen = TypeVar("Seen")

MOST_TOLD = 10
"""Most broken rows of a file that one message names, and most that repeat an id."""


class DatasetFacts(msgspec.Struct, frozen=True):
    """What one pass over a dataset found.

    Attributes:
        rows: rows that the experiment reads, after offset, limit and shard.
        records: rows in the file.
        fingerprint: SHA-256 of the file's bytes, in hex.
        size: of the file, in bytes.
    """

    rows: int
    records: int
    fingerprint: str
    size: int


def columns(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns of the dataset's first sound row.

    Raises:
        UserError: there is none; says what is wrong with the rows.
    """
    table = open_table(dataset)
    return tuple(_first_sound(table))


def check_rows(dataset: Dataset, guard: RowGuard | None = None) -> DatasetFacts:
    """Read the whole file and make sure that every row is sound, no two share an id, and none holds a secret.

    A file that changes meanwhile is read again: what was checked is what the fingerprint is of.

    Raises:
        UserError: the file isn't there or has no rows, offset, limit and shard leave none, a row is
            broken, without an id or refused by the *guard*, or an id occurs twice; has a line for each
            such row, up to ten of a kind, and the number of others. Or the file doesn't stop changing.
    """
    table = open_table(dataset)
    _first_sound(table)  # tells of a file that isn't there
    for _ in range(TRIES):
        before = file_version(table.path)
        facts = _facts(dataset, table, guard or None)
        if file_version(table.path) == before:
            return facts
    raise UserError(f"dataset file {table.path} {CHANGING}")


def _facts(dataset: Dataset, table: Table[Any], guard: RowGuard | None) -> DatasetFacts:
    first = _first_sound(table)
    column = dataset.id or "id"
    bad = _BadRows(table.path, guard)
    if column in first:
        records, faults = _check_named(table, column, bad)
    else:
        records, faults = _check_hashed(table, bad), []
        if dataset.id is not None:
            hint = suggestion(column, first)
            faults.append(f"{table.path} has no column {column!r}, which dataset.id names ({hint})")
    if faults := [*bad.lines(), *faults]:
        raise UserError("\n".join(faults))
    rows = len(positions_of(dataset, records))
    if not rows:
        kept = ", ".join(f"{key} {value}" for key, value in _choice(dataset).items())
        raise UserError(
            f"dataset file {table.path} has {count(records, 'row')}, and {kept} leaves none of them"
        )
    fingerprint, size = file_content(table.path)
    return DatasetFacts(rows, records, fingerprint, size)


def _choice(dataset: Dataset) -> dict[str, str]:
    shard = dataset.shard
    named = {"offset": str(dataset.offset)} if dataset.offset else {}
    return named if shard is None else {**named, "shard": f"{shard.index} of {shard.count}"}


class _BadRows:
    """Collects what is wrong with a file's records: the first by their lines, the others by their number."""

    def __init__(self, path: Path, guard: RowGuard | None = None) -> None:
        self.guard = guard
        self._path = path
        self._told: list[str] = []
        self._more = 0
        self._end: list[str] = []

    def add(self, error: UserError) -> None:
        """Take a record that is none."""
        if len(self._told) < MOST_TOLD:
            self._told.append(str(error))
        else:
            self._more += 1

    def end(self, error: UserError) -> None:
        """Take what keeps the rest of the file from being told into records."""
        self._end = [str(error)]

    def lines(self) -> list[str]:
        """Return the lines of a message."""
        return [*self._told, *_others(self._path, self._more, "broken rows"), *self._end]


def _others(path: Path, count: int, what: str) -> list[str]:
    return [f"{path}: and {count} more {what}"] if count else []


def _first_sound(table: Table[Any]) -> Columns:
    """Return the columns of the first record that is one.

    Raises:
        UserError: none is; says what is wrong with them.
    """
    bad = _BadRows(table.path)
    for first in _each(table, lambda data: data, bad):
        return first
    raise UserError("\n".join(bad.lines()) or f"dataset file {table.path} has no rows")


def _check_named(table: Table[Any], column: str, bad: _BadRows) -> tuple[int, list[str]]:
    """Count rows with an id column, and tell of those that repeat an id; 8 bytes of memory each."""
    # hash() differs from process to process, which is no matter here, and is cheap; that two ids
    # share one is settled by looking at the ids themselves.
    hashes = array("q", _each(table, lambda data: hash(row_id(column, data)), bad))
    count = sum(1 for _ in repeated(hashes))
    return len(hashes), _repeated_ids(table, column, hashes, count) if count else []


def _check_hashed(table: Table[Any], bad: _BadRows) -> int:
    """Check rows that get a hash for an id: repeated ones are told apart, but each must have one."""
    return sum(1 for _ in _each(table, content_hash, bad))


def _each(table: Table[Any], seen_as: Callable[[Columns], Seen], bad: _BadRows) -> Iterator[Seen]:
    """Yield what each sound record is seen as; the others go to *bad*."""
    guard = bad.guard
    try:
        for line, raw in table.records():
            try:
                data = table.decode(raw)
                if guard and (fault := guard.fault(table.path, line, raw, data)):
                    bad.add(fault)
                    continue
                seen = seen_as(data)
            except BadRecordError as error:
                bad.add(bad_record(table.path, line, error))
            else:
                yield seen
    except UserError as error:
        bad.end(error)


def _repeated_ids(table: Table[Any], column: str, hashes: array[int], count: int) -> list[str]:
    """Say which rows repeat an id: the first by their lines, the others, *count* in all, by their number."""
    named = first_repeats(hashes, MOST_TOLD)
    doubtful = {hashes[index] for index in named}
    lines: dict[str, int] = {}
    told: list[str] = []
    for line, raw in table.records():
        try:
            name = row_id(column, table.decode(raw))
        except BadRecordError:
            continue
        if hash(name) not in doubtful:
            continue
        if name in lines:
            told.append(f"{table.path}:{line}: the id {name!r} stands on line {lines[name]} already")
            if len(told) == len(named):
                break
        lines.setdefault(name, line)
    return [*told, *_others(table.path, count - len(named), "rows that repeat an id")]
