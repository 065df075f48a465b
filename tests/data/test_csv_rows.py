from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.data import open_rows, undivided
from runner.errors import UserError
from runner.spec import CsvDataset

if TYPE_CHECKING:
    from pathlib import Path


def dataset(folder: Path, content: bytes, **settings: Any) -> CsvDataset:
    path = folder / "rows.csv"
    path.write_bytes(content)
    return CsvDataset(path=str(path), **settings)


def test_csv_values_are_text(tmp_path: Path) -> None:
    """Nothing is guessed about values, and a byte order mark is no part of the first column."""
    rows = open_rows(dataset(tmp_path, b"\xef\xbb\xbfid,n\n1,007\n"))

    assert [row.data for row in rows] == [{"id": "1", "n": "007"}]


def test_csv_delimiter_can_be_chosen(tmp_path: Path) -> None:
    """Tabs and semicolons separate as well as commas."""
    rows = open_rows(dataset(tmp_path, b"id;n\n1;a,b\n", delimiter=";"))

    assert [row.data["n"] for row in rows] == ["a,b"]


def test_csv_fields_may_be_longer_than_the_module_allows_by_default(tmp_path: Path) -> None:
    """Whole documents fit into a cell."""
    rows = open_rows(dataset(tmp_path, b"id,text\n1," + b"x" * 300_000 + b"\n"))

    assert [len(row.data["text"]) for row in rows] == [300_000]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(table=st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_csv_rows_survive_shuffling(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]]
) -> None:
    """Quotes, delimiters and line breaks inside cells are read alike in file order and shuffled."""
    path = tmp_path_factory.mktemp("d") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("id", "a", "b"), *((i, a, b) for i, (a, b) in enumerate(table))])
    plain = {row.id: row.data for row in open_rows(CsvDataset(path=str(path)))}
    shuffled = {row.id: row.data for row in open_rows(CsvDataset(path=str(path), shuffle=True))}

    assert plain == shuffled
    assert [(row["a"], row["b"]) for row in plain.values()] == table


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'id,a\n1,"x\ny"\n\n2,b,c\n', r"rows\.csv:5: 3 values for 2 columns"),
        (b"id,a\n1\n", r"rows\.csv:2: 1 value for 2 columns"),
        (b"id,a\n1,b\n2,\xff\n", r"rows\.csv:3: no valid UTF-8"),
        (b'id,a\n1,b\n2,"open\n', r"rows\.csv:3: no valid CSV \(unexpected end of data\)"),
        (b'id,a\n1,"b"c\n', r"rows\.csv:2: no valid CSV"),
        (b"id,id\n1,2\n", r"rows\.csv:1: the header names 'id' more than once"),
        (b"id,,b\n1,2,3\n", r"rows\.csv:1: the header has a column without a name"),
        (b"a,,a\n1,2,3\n", r"(?s)a column without a name.*rows\.csv:1: the header names 'a' more than once"),
        (b"id,a\n", "has no rows"),
        (b"", "has no rows"),
    ],
)
def test_broken_csv_is_named(tmp_path: Path, content: bytes, message: str, shuffled: bool) -> None:
    """Whatever is wrong with a CSV file, the message says where and what."""
    with pytest.raises(UserError, match=message):
        list(open_rows(dataset(tmp_path, content, shuffle=shuffled)))


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_csv_of_another_delimiter_is_told_how_to_name_it(tmp_path: Path, mark: str) -> None:
    """A header that isn't divided, though its rows are, hints at the delimiter."""
    chosen = dataset(tmp_path, f"a{mark}b\n1{mark}x,y\n".encode())

    with pytest.raises(UserError, match=r"2 values for 1 column:.* give dataset\.delimiter: "):
        open_rows(chosen)


def test_csv_of_one_column_needs_no_hint() -> None:
    """Only a name that holds what often divides columns is doubtful."""
    assert undivided(("a;b",)) != ""
    assert undivided(("a",)) == ""
    assert undivided(("a;b", "c")) == ""
