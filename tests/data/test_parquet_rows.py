"""Parquet datasets: the rows, ids and orders that JSON Lines would give."""

from __future__ import annotations

import datetime as dt
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from runner.data import check_rows, columns, open_rows
from runner.errors import UserError
from runner.spec import JsonlDataset, ParquetDataset

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COUNT = 3000


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The same rows as Parquet, in row groups of uneven size, and as JSON Lines."""
    rows = [{"name": f"n{number}", "text": f"text {number % 7}", "other": number} for number in range(COUNT)]
    parquet, jsonl = tmp_path / "rows.parquet", tmp_path / "rows.jsonl"
    pq.write_table(pa.Table.from_pylist(rows), parquet, row_group_size=700)
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return parquet, jsonl


@pytest.mark.parametrize(
    "how",
    [
        {"id": "name"},
        {},
        {"offset": 1500, "limit": 900},
        {"shuffle": True, "seed": 3},
        {"shuffle": True, "limit": 50, "id": "name"},
        {"shuffle": True, "offset": 10, "shard": {"index": 1, "count": 3}},
        {"shard": {"index": 2, "count": 4}},
    ],
)
def test_rows_are_those_of_json_lines(files: tuple[Path, Path], how: dict[str, Any]) -> None:
    """Ids, positions, order and values agree, whatever part is read and in whatever order."""
    parquet = ParquetDataset.model_validate({"path": str(files[0]), **how})
    jsonl = JsonlDataset.model_validate({"path": str(files[1]), **how})

    assert list(open_rows(parquet)) == list(open_rows(jsonl))
    assert check_rows(parquet).rows == check_rows(jsonl).rows


def test_only_the_named_columns_are_read(files: tuple[Path, Path]) -> None:
    """Columns that aren't named are in no row, in the stream and in the shuffle."""
    for shuffle in (False, True):
        dataset = ParquetDataset(path=str(files[0]), columns=("text", "name"), id="name", shuffle=shuffle)

        assert columns(dataset) == ("text", "name")
        assert set(next(iter(open_rows(dataset))).data) == {"text", "name"}


def test_bytes_and_times_keep_their_types(tmp_path: Path) -> None:
    """A binary column is bytes, a list a list, a timestamp a datetime; a row without an id gets a hash."""
    file = tmp_path / "typed.parquet"
    row = {"image": b"\x89PNG", "tags": ["a", "b"], "at": dt.datetime(2024, 5, 1, 12)}  # noqa: DTZ001 - as stored
    pq.write_table(pa.Table.from_pylist([row]), file)

    (read,) = open_rows(ParquetDataset(path=str(file)))

    assert read.data == row
    assert len(read.id) == 16


def bad_text() -> Any:
    """Return a column of text whose second value is not UTF-8."""
    stored = pa.array([b"a", b"\xff"])
    return pa.Array.from_buffers(pa.string(), 2, stored.buffers())


UNHELD = {
    "nanoseconds": lambda: pa.array([0, 1], pa.timestamp("ns")),
    "duration": lambda: pa.array([0, 1], pa.duration("ns")),
    "far date": lambda: pa.array([0, 10**8], pa.date32()),
    "text": bad_text,
}


@pytest.mark.parametrize("made", UNHELD.values(), ids=UNHELD)
@pytest.mark.parametrize("shuffle", [False, True])
def test_value_that_python_can_not_hold_is_told_by_row_and_column(
    tmp_path: Path, made: Any, shuffle: bool
) -> None:
    """Rows before it can be read, and all of them where `columns` leaves its column out."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"q": ["a", "b"], "at": made()}), file)
    told = r"rows\.parquet:2: the column 'at': .*; list the columns to read in dataset\.columns"

    with pytest.raises(UserError, match=told):
        check_rows(ParquetDataset(path=str(file)))
    with pytest.raises(UserError, match=told):
        list(open_rows(ParquetDataset(path=str(file), shuffle=shuffle)))
    assert len(list(open_rows(ParquetDataset(path=str(file), limit=1)))) == 1
    assert len(list(open_rows(ParquetDataset(path=str(file), columns=("q",), shuffle=shuffle)))) == 2


def test_unknown_timezone_is_told(tmp_path: Path) -> None:
    """Arrow's own errors are the user's to mend as well."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"at": pa.array([0], pa.timestamp("us", tz="Nowhere/Bad"))}), file)

    with pytest.raises(UserError, match=r"rows\.parquet:1: the column 'at': "):
        columns(ParquetDataset(path=str(file)))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """A row would hold the last alone; where only others are read it doesn't matter."""
    file = tmp_path / "twice.parquet"
    arrays = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["q", "other", "q"]), file)

    for wanted in (None, ("q",)):
        for shuffle in (False, True):
            with pytest.raises(UserError, match=r"twice\.parquet has more than one column named 'q'"):
                list(open_rows(ParquetDataset(path=str(file), columns=wanted, shuffle=shuffle)))
    (row,) = open_rows(ParquetDataset(path=str(file), columns=("other",)))
    assert row.data == {"other": "b"}


def test_dictionary_columns_can_be_shuffled(tmp_path: Path) -> None:
    """Each row group has a dictionary of its own."""
    file = tmp_path / "rows.parquet"
    tables = [
        pa.table({"text": pa.array([f"{name}{number}" for number in range(1500)]).dictionary_encode()})
        for name in "ab"
    ]
    with pq.ParquetWriter(file, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)

    read = [row.data["text"] for row in open_rows(ParquetDataset(path=str(file), shuffle=True))]

    assert sorted(read) == sorted(f"{name}{number}" for name in "ab" for number in range(1500))


def test_a_large_file_is_read_in_a_stream(tmp_path: Path) -> None:
    """Memory stays far below the size of the rows."""
    file = tmp_path / "large.parquet"
    table = pa.table({"id": range(40_000), "text": ["x" * 2000] * 40_000})
    pq.write_table(table, file, row_group_size=2000)
    del table
    rows = open_rows(ParquetDataset(path=str(file)))

    tracemalloc.start()
    count = sum(1 for _ in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 40_000
    assert peak < 20_000_000


def test_what_is_no_parquet_is_said_to_be_none(tmp_path: Path) -> None:
    """A file of another form is the user's mistake, by name."""
    file = tmp_path / "rows.parquet"
    file.write_text('{"id": 1}\n')

    with pytest.raises(UserError, match=r"rows\.parquet is no Parquet"):
        check_rows(ParquetDataset(path=str(file)))


def test_an_unknown_column_is_named_with_the_nearest(files: tuple[Path, Path]) -> None:
    """Columns may only name what is there; all that isn't is told together."""
    with pytest.raises(UserError, match=r"dataset\.columns: .* has no column 'txt'; .*text") as caught:
        columns(ParquetDataset(path=str(files[0]), columns=("txt", "absent")))
    assert "has no column 'absent'" in str(caught.value).splitlines()[1]


def test_two_rows_with_one_id_are_refused(tmp_path: Path) -> None:
    """Both rows are named by their number."""
    file = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "a"]}), file)

    with pytest.raises(UserError, match=":3: the id 'a' stands on line 1 already"):
        check_rows(ParquetDataset(path=str(file)))


FLOATS = {
    "float32": (lambda: pa.array([0.1, 16777215.0], pa.float32()), [0.1, 16777215.0]),
    "float64": (lambda: pa.array([0.1, 0.30000000000000004]), [0.1, 0.30000000000000004]),
    "list": (lambda: pa.array([[0.1, None], None], pa.list_(pa.float32())), [[0.1, None], None]),
    "fixed list": (lambda: pa.array([[0.1, 0.2]] * 2, pa.list_(pa.float32(), 2)), [[0.1, 0.2]] * 2),
    "struct": (
        lambda: pa.array([{"a": 0.1}, None], pa.struct([("a", pa.float32())])),
        [{"a": 0.1}, None],
    ),
    "map": (
        lambda: pa.array([[("a", 0.1)], None], pa.map_(pa.string(), pa.float32())),
        [[("a", 0.1)], None],
    ),
}


@pytest.mark.parametrize(("made", "expected"), FLOATS.values(), ids=FLOATS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_floats_are_read_as_they_were_written(
    tmp_path: Path, made: Any, expected: Any, shuffle: bool
) -> None:
    """0.1 in 32 bits is 0.1, wherever in a value it lies."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "x": made()}), file)

    rows = open_rows(ParquetDataset(path=str(file), shuffle=shuffle))

    assert {row.id: row.data["x"] for row in rows} == dict(zip("ab", expected, strict=True))


NO_NUMBERS = {
    "nan": lambda: pa.array([0.1, float("nan")]),
    "nan32": lambda: pa.array([0.1, float("nan")], pa.float32()),
    "infinity": lambda: pa.array([0.1, float("-inf")]),
    "list": lambda: pa.array([[0.1], [float("nan")]]),
    "struct": lambda: pa.array([{"a": 0.1}, {"a": float("inf")}]),
}


@pytest.mark.parametrize("made", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_value_that_is_no_number_is_refused_as_in_json_lines(
    tmp_path: Path, made: Any, shuffle: bool
) -> None:
    """The message names row and column; a file that leaves the column out can be read."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"q": ["a", "b"], "x": made()}), file)
    refused = r"rows\.parquet:2: the column 'x': -?(nan|inf) is not a JSON number"

    with pytest.raises(UserError, match=refused):
        check_rows(ParquetDataset(path=str(file)))
    with pytest.raises(UserError, match=refused):
        list(open_rows(ParquetDataset(path=str(file), shuffle=shuffle)))
    assert check_rows(ParquetDataset(path=str(file), columns=("q",))).rows == 2
