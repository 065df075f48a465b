"""Reading a whole dataset once before anything runs: is every row sound, and which file is it?"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from runner.data.identity import content_hash, repeated, row_id
from runner.data.order import positions_of
from runner.data.rows import first_record, id_column_of, open_table
from runner.data.table import BadRecordError, bad_record, open_file
from runner.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.data.table import Columns, Table
    from runner.spec import Dataset


MOST_TOLD = 10
"""Most bad rows of a file that one message names."""


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
    """Return the columns of the dataset's first row.

    Raises:
        UserError: there is none, or it can't be read; names other bad rows too.
    """
    table = open_table(dataset)
    try:
        return tuple(first_record(table)[1])
    except UserError:
        for _ in _each(table, len):
            pass
        raise


def check_rows(dataset: Dataset) -> DatasetFacts:
    """Read the whole file and make sure that every row is sound and no two share an id.

    Raises:
        UserError: the file isn't there or has no rows, offset, limit and shard leave none, a row is
            broken or without an id, or an id occurs twice; names the file and the lines, of some ten
            bad rows together.
    """
    table = open_table(dataset)
    column = id_column_of(dataset, table)
    records = _check_named(table, column) if column is not None else _check_hashed(table)
    rows = len(positions_of(dataset, records))
    if not rows:
        kept = ", ".join(f"{key} {value}" for key, value in _choice(dataset).items())
        raise UserError(f"dataset file {table.path} has {records} rows, and {kept} leaves none of them")
    fingerprint, size = _fingerprint(table.path)
    return DatasetFacts(rows, records, fingerprint, size)


def _choice(dataset: Dataset) -> dict[str, str]:
    shard = dataset.shard
    named = {"offset": str(dataset.offset)} if dataset.offset else {}
    return named if shard is None else {**named, "shard": f"{shard.index} of {shard.count}"}


def _check_named(table: Table[Any], column: str) -> int:
    """Check rows with an id column; 8 bytes of memory each."""
    # hash() differs from process to process, which is no matter here, and is cheap; that two ids
    # share one is settled by looking at the ids themselves.
    hashes = array("q", _each(table, lambda data: hash(row_id(column, data))))
    doubtful = repeated(hashes)
    if doubtful:
        _refuse_repeated(table, column, doubtful)
    return len(hashes)


def _check_hashed(table: Table[Any]) -> int:
    """Check rows that get a hash for an id: repeated ones are told apart, but each must have one."""
    return sum(1 for _ in _each(table, content_hash))


def _each(table: Table[Any], seen_as: Callable[[Columns], int]) -> Iterator[int]:
    """Yield what each record is seen as.

    Raises:
        UserError: records that are none, the first `MOST_TOLD` of them together.
    """
    bad: list[str] = []
    try:
        for line, raw in table.records():
            try:
                yield seen_as(table.decode(raw))
            except BadRecordError as error:
                bad.append(str(bad_record(table.path, line, error)))
                if len(bad) == MOST_TOLD:
                    break
    except UserError as error:  # from here on the file can't be told into records
        bad.append(str(error))
    if bad:
        raise UserError("\n".join(bad))


def _refuse_repeated(table: Table[Any], column: str, doubtful: set[int]) -> None:
    first: dict[str, int] = {}
    again: list[tuple[str, int, int]] = []
    for line, raw in table.records():
        name = row_id(column, table.decode(raw))
        if hash(name) not in doubtful:
            continue
        if name in first:
            again.append((name, first[name], line))
        first.setdefault(name, line)
    if again:
        name, one, other = again[0]
        more = f" (and {len(again) - 1} more rows repeat an id)" if len(again) > 1 else ""
        raise UserError(f"{table.path}: the id {name!r} stands on line {one} and on line {other}{more}")


def _fingerprint(path: Path) -> tuple[str, int]:
    with open_file(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()
