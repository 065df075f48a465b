"""A point's vectors as Parquet: ``vectors-00000.parquet`` and on, each with one block of positions.

A part says in its footer which answers it was made of. It is written anew only where those changed, so that
a fold of a run that is under way rewrites little; and under a temporary name first, so that a part that
is there is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from runner.errors import RunnerError
from runner.extras import pip_install
from runner.points import PointRecords
from runner.values import decode_response

if TYPE_CHECKING:
    import pyarrow as pa

PART = 1 << 16
"""Positions of one part."""

_GROUP = 2_000
"""Vectors in memory at once, and in one row group."""

_LOOKED_UP = 500
_MAGIC = b"PAR1"
_MADE_OF = b"llm-runner.made_of"


class _Line(msgspec.Struct, frozen=True):
    id: str
    sample: int
    keys: dict[str, str]
    row: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Vector(NamedTuple):
    """What is written of a line: also the row's columns as JSON, if the line has any."""

    id: str
    sample: int
    vector: bytes
    row: str | None


_decode = msgspec.json.Decoder(_Line).decode


def export_vectors(folder: Path, records: PointRecords, dtype: str) -> None:
    """Bring the parts in *folder* up to date with the answers in *records*.

    Raises:
        RunnerError: pyarrow is not installed, or vectors of one part differ in length.
    """
    for block, count, attempts in records.blocks(PART):
        file = folder / f"vectors-{block:05d}.parquet"
        made_of = f"{dtype} {count} {attempts}".encode()
        if _made_of(file) != made_of:
            lines = records.answered(block * PART, (block + 1) * PART)
            _write(file, _vectors(records, lines), dtype, made_of)


def damaged_parts(folder: Path, records: PointRecords) -> Iterator[Path]:
    """Yield the parts that are gone or plainly no Parquet files."""
    for block, _, _ in records.blocks(PART):
        file = folder / f"vectors-{block:05d}.parquet"
        if not _is_parquet(file):
            yield file


def _is_parquet(file: Path) -> bool:
    """Tell whether a file begins and ends as Parquet does."""
    if not file.is_file() or file.stat().st_size < 2 * len(_MAGIC):
        return False
    with file.open("rb") as stream:
        head = stream.read(len(_MAGIC))
        stream.seek(-len(_MAGIC), os.SEEK_END)
        return head == stream.read() == _MAGIC


def _made_of(file: Path) -> bytes | None:
    """Return what a part says it was made of; None if it isn't there, or is damaged."""
    if not _is_parquet(file):
        return None
    try:
        schema = _parquet().read_schema(file)
    except (OSError, ValueError):  # pyarrow's errors of a damaged file are of these
        return None
    found: bytes | None = (schema.metadata or {}).get(_MADE_OF)
    return found


def _vectors(records: PointRecords, lines: Iterable[bytes]) -> Iterator[_Vector]:
    """Yield what is written of each line, in order."""
    decoded = map(_decode, lines)
    while batch := list(islice(decoded, _LOOKED_UP)):
        keys = {line.id: bytes.fromhex(next(iter(line.keys.values()))) for line in batch}
        found = records.find(sorted(set(keys.values())))
        for line in batch:
            vector = decode_response(found[keys[line.id]]).embeddings[0]
            columns = bytes(line.row).decode() if isinstance(line.row, msgspec.Raw) else None
            yield _Vector(line.id, line.sample, vector, columns)


def _write(file: Path, vectors: Iterator[_Vector], dtype: str, made_of: bytes) -> None:
    import pyarrow as pa

    first = next(vectors)
    length = len(first.vector)
    value = pa.list_(getattr(pa, dtype)(), length // 4)
    names = [("id", pa.string()), ("sample", pa.int64()), ("vector", value), ("row", pa.string())]
    schema = pa.schema(names, metadata={_MADE_OF: made_of})
    temporary = file.with_name(f".{file.name}.tmp")
    # Vectors hardly compress, and their numbers hardly repeat.
    codecs = {"id": "zstd", "sample": "zstd", "row": "zstd"}
    with _parquet().ParquetWriter(temporary, schema, compression=codecs, use_dictionary=False) as out:
        rows = [first]
        while rows:
            out.write_table(pa.Table.from_arrays(_columns(rows, length, value), schema=schema))
            rows = list(islice(vectors, _GROUP))
    temporary.replace(file)


def _columns(rows: list[_Vector], length: int, value: pa.DataType) -> list[Any]:
    import pyarrow as pa

    if other := next((row for row in rows if len(row.vector) != length), None):
        problem = f"the vector of {other.id} has {len(other.vector) // 4} numbers, others have {length // 4}"
        asked = "did the model behind the address change? a new run with cache=refresh asks all of them anew"
        raise RunnerError(f"{problem}: {asked}")
    numbers = pa.Array.from_buffers(
        pa.float32(), len(rows) * length // 4, [None, pa.py_buffer(b"".join(row.vector for row in rows))]
    )
    vectors = pa.FixedSizeListArray.from_arrays(numbers.cast(value.value_type, safe=False), length // 4)
    columns = pa.array([row.row for row in rows], pa.string())
    return [pa.array([row.id for row in rows]), pa.array([row.sample for row in rows]), vectors, columns]


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise RunnerError(f"vectors need pyarrow: {pip_install('parquet')}") from error
    return pyarrow.parquet
