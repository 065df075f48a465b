from __future__ import annotations

import hashlib
import json
import tracemalloc
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.data import columns, open_rows
from runner.data.order import shuffle
from runner.errors import UserError
from runner.spec import CsvDataset, JsonlDataset, Shard
from runner.values import canonical_json

if TYPE_CHECKING:
    from pathlib import Path


def jsonl(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> JsonlDataset:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return JsonlDataset(path=str(path), **settings)


def numbered(folder: Path, count: int, **settings: Any) -> JsonlDataset:
    return jsonl(folder, [{"id": f"r{i}", "n": i} for i in range(count)], **settings)


def numbers(dataset: JsonlDataset) -> list[int]:
    return [row.data["n"] for row in open_rows(dataset)]


def test_rows_come_in_file_order_with_ids_and_positions(tmp_path: Path) -> None:
    """Without settings, rows are the file's lines, named by the id column."""
    rows = list(open_rows(numbered(tmp_path, 3)))

    assert [(row.id, row.position, row.data["n"]) for row in rows] == [
        ("r0", 0, 0),
        ("r1", 1, 1),
        ("r2", 2, 2),
    ]


def test_rows_can_be_iterated_again(tmp_path: Path) -> None:
    """One Rows gives the same rows each time, shuffled or hashed ones too."""
    rows = open_rows(jsonl(tmp_path, [{"a": 1}, {"a": 2}, {"a": 1}], shuffle=True, seed=3))

    assert list(rows) == list(rows)
    assert len(list(rows)) == 3


def test_jsonl_tolerates_bom_blank_lines_and_crlf(tmp_path: Path) -> None:
    """A byte order mark, blank lines and Windows line ends don't make rows or columns."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "\xc3\xa9"}\r\n\r\n  \n{"id": 2}')

    for shuffled in (False, True):
        rows = open_rows(JsonlDataset(path=str(path), shuffle=shuffled))
        assert sorted(row.id for row in rows) == ["2", "\u00e9"]


def test_offset_limit_and_shard_pick_by_position(tmp_path: Path) -> None:
    """Position counts after offset and limit; a shard keeps the positions of the whole."""
    dataset = numbered(tmp_path, 10, offset=2, limit=6, shard=Shard(index=1, count=3))

    assert [(row.position, row.data["n"]) for row in open_rows(dataset)] == [(1, 3), (4, 6)]


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 30),
    offset=st.integers(0, 12),
    limit=st.none() | st.integers(1, 20),
    parts=st.integers(1, 4),
    shuffled=st.booleans(),
)
def test_shards_together_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    offset: int,
    limit: int | None,
    parts: int,
    shuffled: bool,
) -> None:
    """Each row that offset and limit leave is in one shard, in the order of the whole."""
    whole = numbered(
        tmp_path_factory.mktemp("d"), count, offset=offset, limit=limit, shuffle=shuffled, seed=5
    )
    shards = [whole.model_copy(update={"shard": Shard(index=i, count=parts)}) for i in range(parts)]

    joined = sorted((row for shard in shards for row in open_rows(shard)), key=lambda row: row.position)
    assert joined == list(open_rows(whole))
    assert [row.position for row in joined] == list(range(len(joined)))


def test_shuffle_order_is_pinned(tmp_path: Path) -> None:
    """The order for a seed never changes: results must be repeatable years later."""
    assert numbers(numbered(tmp_path, 10, shuffle=True, seed=7)) == [2, 7, 4, 6, 8, 9, 0, 5, 1, 3]


def test_shuffle_is_even() -> None:
    """Each item ends at each place about equally often."""
    first = [0] * 4
    for seed in range(4000):
        items = array("Q", range(4))
        shuffle(items, seed)
        first[items[0]] += 1

    assert all(850 < count < 1150 for count in first)


def test_limit_of_a_shuffle_is_its_beginning(tmp_path: Path) -> None:
    """Offset and limit count in the shuffled order, so that a larger limit only adds rows."""
    whole = numbers(numbered(tmp_path, 20, shuffle=True, seed=1))

    assert numbers(numbered(tmp_path, 20, shuffle=True, seed=1, offset=3, limit=5)) == whole[3:8]


def test_row_id_is_text_of_the_named_column(tmp_path: Path) -> None:
    """`dataset.id` names another column; a number becomes its text."""
    dataset = jsonl(tmp_path, [{"id": "x", "key": 7}, {"id": "x", "key": 8}], id="key")

    assert [row.id for row in open_rows(dataset)] == ["7", "8"]


def test_row_without_id_is_named_by_its_content(tmp_path: Path) -> None:
    """The id is 16 hex digits of the canonical JSON's SHA-256, whatever the order of keys."""
    rows = list(open_rows(jsonl(tmp_path, [{"b": 1, "a": "x"}, {"a": "x", "b": 1}, {"a": "y"}])))

    name = hashlib.sha256(canonical_json({"a": "x", "b": 1})).hexdigest()[:16]
    assert [row.id for row in rows[:2]] == [name, f"{name}-2"]
    assert rows[2].id == hashlib.sha256(b'{"a":"y"}').hexdigest()[:16]


def test_content_ids_depend_on_neither_shuffle_nor_shard(tmp_path: Path) -> None:
    """Occurrences count in the file's order, so the same rows keep their names in any order."""
    data = [{"q": i % 3} for i in range(9)]
    plain = {row.id for row in open_rows(jsonl(tmp_path, data))}
    shuffled = [row.id for row in open_rows(jsonl(tmp_path, data, shuffle=True))]
    shard = [row.id for row in open_rows(jsonl(tmp_path, data, shard=Shard(index=1, count=2)))]

    assert len(plain) == 9
    assert set(shuffled) == plain
    assert set(shard) < plain


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": 1,}', "no valid JSON"),
        (b'["a"]', "one JSON object"),
        (b"[", r"jq -c '\.\[\]' makes lines of a JSON array"),
        (b'{"id": "\xff"}', "no valid UTF-8"),
        (b'{"id": NaN}', "no valid JSON"),
        (b'{"id": null}', "not a text or a number"),
        (b'{"idd": 1}', r"no column 'id' \(did you mean 'idd'"),
        (b'{"id": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deep"),
    ],
)
def test_broken_line_is_named(tmp_path: Path, line: bytes, problem: str, shuffled: bool) -> None:
    """Whatever is wrong with a line, the message has file, line and reason."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "a"}\n\n' + line + b"\n")

    with pytest.raises(UserError, match=rf"rows\.jsonl:3: .*{problem}"):
        list(open_rows(JsonlDataset(path=str(path), shuffle=shuffled)))


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """A typing error in the path is answered with the file that was meant."""
    numbered(tmp_path, 1)

    with pytest.raises(UserError, match=r"does not exist \(did you mean rows\.jsonl\?\)"):
        open_rows(JsonlDataset(path=str(tmp_path / "row.jsonl")))


def test_folder_is_no_dataset(tmp_path: Path) -> None:
    """A folder is refused in words."""
    with pytest.raises(UserError, match="can't be read: Is a directory"):
        open_rows(JsonlDataset(path=str(tmp_path)))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_empty_dataset_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file without rows is the user's mistake."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    with pytest.raises(UserError, match=r"has no rows"):
        open_rows(JsonlDataset(path=str(path)))


def test_missing_id_column_lists_the_columns(tmp_path: Path) -> None:
    """An id column that isn't there is refused before any row is given."""
    with pytest.raises(UserError, match=r"no column 'idd'.*known: id, n"):
        open_rows(numbered(tmp_path, 1, id="idd"))


def test_columns_are_those_of_the_first_row(tmp_path: Path) -> None:
    """Messages about templates can list what a row has."""
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,2\n", encoding="utf-8")

    assert columns(numbered(tmp_path, 1)) == ("id", "n")
    assert columns(CsvDataset(path=str(path))) == ("x", "y")


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Reading 20 MB holds less than one."""
    path = tmp_path / "rows.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f'{{"id": {i}, "text": "{"x" * 1000}"}}\n' for i in range(20_000))
    dataset = JsonlDataset(path=str(path))

    tracemalloc.start()
    assert sum(1 for _ in open_rows(dataset)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
