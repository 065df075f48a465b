"""Parquet, read in a stream: one row group's slice of rows is in memory at a time."""

from __future__ import annotations

import tempfile
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfoNotFoundError

from runner.data.arrow_values import Convert, converter
from runner.data.table import BadRecordError, Columns, open_file
from runner.errors import UserError, one_line
from runner.extras import pip_install
from runner.render import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ROWS = 1024
"""Rows in memory at once."""
_HINT = "list the columns to read in dataset.columns"


class ParquetTable:
    """A Parquet file; lines are rows, counted from 1, and so are offsets, from 0.

    Values keep their types: binary columns are bytes, times are Python's. A raw record is a row's columns, or
    Arrow's batch of that row alone, which may hold what Python can't.
    """

    def __init__(self, path: Path, columns: tuple[str, ...] | None) -> None:
        self.path = path
        self._columns = columns
        self._converters: dict[str, Convert] = {}

    def records(self) -> Iterator[tuple[int, Any]]:
        line = 0
        with self._opened() as file:
            self._converters = _converters(self._schema(file))
            for batch in self._batches(file):
                for row in _rows(batch):
                    line += 1
                    yield line, row

    def offsets(self) -> array[int]:
        with self._opened() as file:
            return array("Q", range(file.metadata.num_rows))

    def at(self, offsets: Iterable[int]) -> Iterator[Any]:
        """Yield rows in any order: from a copy on disk that allows that, which Parquet itself doesn't."""
        import pyarrow as pa

        with tempfile.NamedTemporaryFile(prefix="llm-runner-", suffix=".arrow") as copy:
            with self._opened() as file, pa.OSFile(copy.name, "wb") as sink:
                try:
                    self._copy(file, sink)
                except pa.ArrowException as error:
                    raise UserError(f"dataset file {self.path} can't be shuffled: {error}; {_HINT}") from None
            with pa.memory_map(copy.name) as source:
                reader = pa.ipc.open_file(source)
                for offset in offsets:
                    number, row = divmod(offset, _ROWS)
                    yield reader.get_batch(number).slice(row, 1)

    def decode(self, raw: Any) -> Columns:
        row = raw if isinstance(raw, dict) else _row(raw)
        for name, convert in self._converters.items():
            try:
                row[name] = convert(row[name])
            except BadRecordError as error:
                raise _bad_column(name, error) from None
        return row

    def line_of(self, offset: int) -> int:
        return offset + 1

    def _copy(self, file: Any, sink: Any) -> None:
        """Copy the columns into batches of `_ROWS` rows each, but for the last."""
        import pyarrow as pa

        waiting: list[Any] = []
        schema = pa.schema([_plain(field) for field in self._schema(file)])
        with pa.ipc.new_file(sink, schema) as out:
            for batch in self._batches(file):
                table = pa.Table.from_batches([batch])
                waiting += (table if table.schema.equals(schema) else table.cast(schema)).to_batches()
                if sum(one.num_rows for one in waiting) >= _ROWS:
                    table = pa.Table.from_batches(waiting).combine_chunks()
                    out.write_batch(table.slice(0, _ROWS).to_batches()[0])
                    waiting = table.slice(_ROWS).to_batches()
            if waiting:
                out.write_batch(pa.Table.from_batches(waiting).combine_chunks().to_batches()[0])

    def _schema(self, file: Any) -> Any:
        import pyarrow as pa

        schema = file.schema_arrow
        return schema if self._columns is None else pa.schema([schema.field(name) for name in self._columns])

    def _batches(self, file: Any) -> Iterator[Any]:
        import pyarrow as pa

        try:
            for batch in file.iter_batches(batch_size=_ROWS, columns=self._columns):
                yield batch.select(self._columns) if self._columns is not None else batch
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"dataset file {self.path} can't be read: {error}") from None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            install = pip_install("parquet")
            raise UserError(f"dataset file {self.path} is Parquet, which needs pyarrow: {install}") from None
        with open_file(self.path) as source:
            try:
                file = pq.ParquetFile(source)
            except pa.ArrowException as error:
                raise UserError(f"dataset file {self.path} is no Parquet: {error}") from None
            there = file.schema_arrow.names
            if absent := [name for name in self._columns or () if name not in there]:
                raise UserError(
                    "\n".join(
                        f"dataset.columns: {self.path} has no column {name!r}; {suggestion(name, there)}"
                        for name in absent
                    )
                )
            if twice := [name for name in dict.fromkeys(self._columns or there) if there.count(name) > 1]:
                names = ", ".join(map(repr, twice))
                raise UserError(f"dataset file {self.path} has more than one column named {names}")
            yield file


_UNHOLDABLE = (ValueError, OverflowError, ZoneInfoNotFoundError)
"""What Python raises on a value that it can't hold; before pyarrow 25 on an unknown time zone too."""


def _rows(batch: Any) -> Iterator[Any]:
    """Yield a batch's rows; where Python can't hold one of them, each as a batch of its own."""
    import pyarrow as pa

    try:
        rows = batch.to_pylist()
    except (pa.ArrowException, *_UNHOLDABLE):
        rows = (batch.slice(index, 1) for index in range(batch.num_rows))
    yield from rows


def _row(batch: Any) -> Columns:
    """Return the columns of a batch of one row."""
    import pyarrow as pa

    row: Columns = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        try:
            (row[name],) = values.to_pylist()
        except (pa.ArrowException, *_UNHOLDABLE) as error:
            raise _bad_column(name, error) from None
    return row


def _bad_column(name: str, error: Exception) -> BadRecordError:
    return BadRecordError(f"the column {name!r}: {one_line(str(error))}; {_HINT}")


def _converters(schema: Any) -> dict[str, Convert]:
    return {field.name: one for field in schema if (one := converter(field.type)) is not None}


def _plain(field: Any) -> Any:
    """Return a field without its dictionary: Arrow's files hold one a column, where Parquet's hold many."""
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
