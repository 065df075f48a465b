"""The rows of a dataset as an experiment reads them."""

from __future__ import annotations

from array import array
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.data.csv_table import CsvTable
from runner.data.identity import ContentIds, content_hash, id_column, row_id
from runner.data.jsonl import JsonlTable
from runner.data.order import in_shard, positions_of, shuffle, stop_of
from runner.data.parquet_table import ParquetTable
from runner.data.table import BadRecordError, Columns, Table, bad_record
from runner.errors import UserError
from runner.spec import CsvDataset, Dataset, ParquetDataset
from runner.values import Row

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def open_table(dataset: Dataset) -> Table[Any]:
    """Return the dataset's file as a table; its path is absolute or relative to the current folder."""
    path = Path(dataset.path)
    if isinstance(dataset, ParquetDataset):
        return ParquetTable(path, dataset.columns)
    return CsvTable(path, dataset.delimiter) if isinstance(dataset, CsvDataset) else JsonlTable(path)


def first_record(table: Table[Any]) -> tuple[int, Columns]:
    """Return the line and the columns of the file's first record.

    Raises:
        UserError: there is none, or it can't be read.
    """
    for line, raw in table.records():
        try:
            return line, table.decode(raw)
        except BadRecordError as error:
            raise bad_record(table.path, line, error) from None
    raise UserError(f"dataset file {table.path} has no rows")


def id_column_of(dataset: Dataset, table: Table[Any]) -> str | None:
    """Return the column that names the dataset's rows, None if a hash does.

    Raises:
        UserError: the dataset names a column that its first row doesn't have.
    """
    line, first = first_record(table)
    try:
        return id_column(dataset.id, first)
    except BadRecordError as error:
        raise bad_record(table.path, line, error) from None


def open_rows(dataset: Dataset) -> Rows:
    """Return the dataset's rows; nothing but the first row is read before they are iterated.

    Raises:
        UserError: the file isn't there, is empty, or lacks the id column.
    """
    table = open_table(dataset)
    return Rows(dataset, table, id_column_of(dataset, table))


class Rows:
    """Rows that are read as they are asked for, as often as they are iterated.

    In memory are 16 bytes a record of the file for a shuffle, 8 for content hashes, and 4 more where
    rows are repeated. Both need one pass over the file before the first row
    comes; without a shuffle it ends where the limit does.
    """

    def __init__(self, dataset: Dataset, table: Table[Any], id_column: str | None) -> None:
        self._dataset = dataset
        self._table = table
        self._id_column = id_column
        self._ids: ContentIds | None = None
        self._shuffle_memo: tuple[array[int], array[int]] | None = None

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in the experiment's order; those of other shards are passed over unread.

        Raises:
            UserError: a row that is read is broken, or has no id.
        """
        if self._id_column is None and self._ids is None:
            self._ids = ContentIds(self._hashes())
        return self._shuffled() if self._dataset.shuffle else self._streamed()

    def columns_at(self, positions: Collection[int]) -> dict[int, Columns]:
        """Return the columns of the rows at *positions*; all others are passed over, most of them undecoded.

        Raises:
            UserError: one of them is broken.
        """
        start, wanted = self._dataset.offset, sorted(positions)
        if self._dataset.shuffle:
            offsets, order = self._shuffle()
            places = [offsets[order[start + position]] for position in wanted]
            return dict(zip(wanted, map(self._table.decode, self._table.at(places)), strict=True))
        stop = start + wanted[-1] + 1 if wanted else start
        found = {}
        for position, (line, raw) in enumerate(islice(self._table.records(), start, stop)):
            if position in positions:
                try:
                    found[position] = self._table.decode(raw)
                except BadRecordError as error:
                    raise bad_record(self._table.path, line, error) from None
        return found

    def _streamed(self) -> Iterator[Row]:
        shard, start = self._dataset.shard, self._dataset.offset
        records = islice(self._table.records(), start, stop_of(self._dataset))
        for position, (line, raw) in enumerate(records):
            if shard is None or in_shard(shard, position):
                try:
                    row = self._row(raw, position, start + position)
                except BadRecordError as error:
                    raise bad_record(self._table.path, line, error) from None
                yield row

    def _shuffled(self) -> Iterator[Row]:
        offsets, order = self._shuffle()
        start, positions = self._dataset.offset, positions_of(self._dataset, len(order))
        raws = self._table.at(offsets[order[start + position]] for position in positions)
        for position, raw in zip(positions, raws, strict=True):
            index = order[start + position]
            try:
                row = self._row(raw, position, index)
            except BadRecordError as error:
                line = self._table.line_of(offsets[index])
                raise bad_record(self._table.path, line, error) from None
            yield row

    def _shuffle(self) -> tuple[array[int], array[int]]:
        """Return the records' offsets, and their indices in the order they are read."""
        if self._shuffle_memo is None:
            offsets = self._table.offsets()
            order = array("Q", range(len(offsets)))
            shuffle(order, self._dataset.seed)
            self._shuffle_memo = offsets, order
        return self._shuffle_memo

    def _row(self, raw: Any, position: int, index: int) -> Row:
        data = self._table.decode(raw)
        if self._id_column is not None:
            return Row(row_id(self._id_column, data), position, data)
        assert self._ids is not None
        return Row(self._ids[index], position, data)

    def _hashes(self) -> Iterator[int]:
        stop = None if self._dataset.shuffle else stop_of(self._dataset)
        for line, raw in islice(self._table.records(), stop):
            try:
                number = content_hash(self._table.decode(raw))
            except BadRecordError as error:
                raise bad_record(self._table.path, line, error) from None
            yield number
