"""Parquet, read in a stream: one row group's slice of rows is in memory at a time."""

from __future__ import annotations

import tempfile
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runner.data.table import Columns, open_file
from runner.errors import UserError
from runner.render import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ROWS = 1024
"""Rows in memory at once."""


class ParquetTable:
    """A Parquet file; lines are rows, counted from 1, and so are offsets, from 0.

    Values keep their types: binary columns are bytes, times are Python's.
    """

    def __init__(self, path: Path, columns: tuple[str, ...] | None) -> None:
        self.path = path
        self._columns = columns

    def records(self) -> Iterator[tuple[int, Columns]]:
        line = 0
        with self._opened() as file:
            for batch in self._batches(file):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row

    def offsets(self) -> array[int]:
        with self._opened() as file:
            return array("Q", range(file.metadata.num_rows))

    def at(self, offsets: Iterable[int]) -> Iterator[Columns]:
        """Yield rows in any order: from a copy on disk that allows that, which Parquet itself doesn't."""
        import pyarrow as pa

        with tempfile.NamedTemporaryFile(prefix="llm-runner-", suffix=".arrow") as copy:
            with self._opened() as file, pa.OSFile(copy.name, "wb") as sink:
                self._copy(file, sink)
            with pa.memory_map(copy.name) as source:
                reader = pa.ipc.open_file(source)
                for offset in offsets:
                    number, row = divmod(offset, _ROWS)
                    yield reader.get_batch(number).slice(row, 1).to_pylist()[0]

    def decode(self, raw: Columns) -> Columns:
        return raw

    def line_of(self, offset: int) -> int:
        return offset + 1

    def _copy(self, file: Any, sink: Any) -> None:
        """Copy the columns into batches of `_ROWS` rows each, but for the last."""
        import pyarrow as pa

        waiting: list[Any] = []
        with pa.ipc.new_file(sink, self._schema(file)) as out:
            for batch in self._batches(file):
                waiting.append(batch)
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
            install = 'pip install "llm-runner[parquet]"'
            raise UserError(f"dataset file {self.path} is Parquet, which needs pyarrow: {install}") from None
        with open_file(self.path) as source:
            try:
                file = pq.ParquetFile(source)
            except pa.ArrowException as error:
                raise UserError(f"dataset file {self.path} is no Parquet: {error}") from None
            there = file.schema_arrow.names
            for name in self._columns or ():
                if name not in there:
                    hint = suggestion(name, there)
                    raise UserError(f"dataset.columns: {self.path} has no column {name!r}; {hint}")
            yield file
