"""What a row is called: its id column, else a hash of its content."""

from __future__ import annotations

import hashlib
from array import array
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from runner.data.table import BadRecordError, Columns
from runner.render import missing_column
from runner.values import canonical_json, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AT_ONCE = 1 << 18
"""About how many hashes are held as objects while repeated ones are looked for."""


def id_column(named: str | None, first: Columns) -> str | None:
    """Return the column that names rows, as the dataset's first row shows; None means a hash does.

    Raises:
        BadRecordError: the dataset names a column that the row doesn't have.
    """
    if named is None:
        return "id" if "id" in first else None
    if named not in first:
        raise BadRecordError(missing_column(named, first))
    return named


def row_id(column: str, data: Columns) -> str:
    """Return a row's id as text.

    Raises:
        BadRecordError: the row has no such column, or what it holds is no name.
    """
    value: Any = data.get(column)
    if value.__class__ is str and value:
        return str(value)
    if column not in data:
        raise BadRecordError(missing_column(column, data))
    if value.__class__ in {int, float}:
        return str(value)
    raise BadRecordError(f"the id column {column!r} holds {spelled(value)}, not a text or a number")


def content_hash(data: Columns) -> int:
    """Return the first 8 bytes of SHA-256 of a row's canonical JSON."""
    return int.from_bytes(hashlib.sha256(canonical_json(data)).digest()[:8])


class ContentIds:
    """Ids of rows without an id column: 16 hex digits, then -2, -3, ... where a row is repeated.

    Occurrences count in the file's order, so that an id depends neither on shuffle nor on shard.
    """

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = array("Q", hashes)
        self._occurrence = _occurrences(self._hashes)

    def __getitem__(self, index: int) -> str:
        """Return the id of the file's record number *index*, from 0."""
        name = f"{self._hashes[index]:016x}"
        occurrence = self._occurrence[index] if self._occurrence else 1
        return name if occurrence == 1 else f"{name}-{occurrence}"


def repeated(hashes: array[int]) -> Iterator[int]:
    """Yield each value as often as it repeats, without holding all as objects."""
    parts = _parts(hashes)
    for part in range(parts):
        ordered = sorted(value for value in hashes if value % parts == part)
        yield from (value for value, after in pairwise(ordered) if value == after)


def first_repeats(hashes: array[int], most: int) -> list[int]:
    """Return the indices of the first values that occurred before, *most* at most."""
    parts = _parts(hashes)
    found: list[int] = []
    for part in range(parts):
        found = sorted([*found, *islice(_again(hashes, part, parts), most)])[:most]
    return found


def _again(hashes: array[int], part: int, parts: int) -> Iterator[int]:
    seen: set[int] = set()
    for index, value in enumerate(hashes):
        if value % parts == part:
            if value in seen:
                yield index
            seen.add(value)


def _parts(hashes: array[int]) -> int:
    return len(hashes) // AT_ONCE + 1


def _occurrences(hashes: array[int]) -> array[int]:
    """Return for each hash how many times it has occurred by then; empty if none occurs twice."""
    counts = dict.fromkeys(repeated(hashes), 0)
    if not counts:
        return array("I")
    numbers = array("I", bytes(4 * len(hashes)))
    for index, value in enumerate(hashes):
        if value in counts:
            counts[value] += 1
            numbers[index] = counts[value]
        else:
            numbers[index] = 1
    return numbers
