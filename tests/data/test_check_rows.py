from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from runner.data import check_rows, columns, open_rows
from runner.errors import UserError
from runner.spec import Dataset, JsonlDataset, Shard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def dataset(folder: Path, *lines: str, **settings: Any) -> JsonlDataset:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return JsonlDataset(path=str(path), **settings)


def test_facts_are_those_of_the_file(tmp_path: Path) -> None:
    """The fingerprint is the SHA-256 of the bytes; all rows count that the experiment reads."""
    facts = check_rows(dataset(tmp_path, *(f'{{"id": {i}}}' for i in range(10)), offset=1, limit=5))

    content = (tmp_path / "rows.jsonl").read_bytes()
    assert facts.fingerprint == hashlib.sha256(content).hexdigest()
    assert (facts.rows, facts.records, facts.size) == (5, 10, len(content))


def told(check: Callable[[Dataset], object], rows: Dataset) -> list[str]:
    """Return the lines of the refusal, each without the file it begins with."""
    with pytest.raises(UserError) as caught:
        check(rows)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(rows.path) for line in lines)
    return [line.removeprefix(rows.path).lstrip(": ") for line in lines]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("shard", [None, Shard(index=2, count=3)])
@pytest.mark.parametrize(("offset", "limit"), [(0, None), (3, None), (2, 4), (5, 100)])
def test_facts_count_what_is_read(
    tmp_path: Path, offset: int, limit: int | None, shard: Shard | None, shuffled: bool
) -> None:
    """The number of rows is known before they are read."""
    chosen = dataset(
        tmp_path,
        *(f'{{"id": {i}}}' for i in range(10)),
        offset=offset,
        limit=limit,
        shard=shard,
        shuffle=shuffled,
    )

    assert check_rows(chosen).rows == len(list(open_rows(chosen)))


def test_repeated_id_is_refused_with_both_lines(tmp_path: Path) -> None:
    """The message names every such id and its lines; a number and its text are the same id."""
    lines = ['{"id": "a"}', '{"id": 7}', "", '{"id": "b"}', '{"id": "7"}', '{"id": "a"}', '{"id": 7}']

    assert told(check_rows, dataset(tmp_path, *lines)) == [
        "5: the id '7' stands on line 2 already",
        "6: the id 'a' stands on line 1 already",
        "7: the id '7' stands on line 2 already",
    ]


def test_repeated_rows_without_id_are_accepted(tmp_path: Path) -> None:
    """Rows that are named by content may repeat: they are told apart by number."""
    assert check_rows(dataset(tmp_path, '{"a": 1}', '{"a": 1}')).rows == 2


def test_broken_row_is_refused_even_beyond_the_limit(tmp_path: Path) -> None:
    """The whole file is checked, so that a larger limit later holds no surprise."""
    with pytest.raises(UserError, match=r"rows\.jsonl:3: no valid JSON"):
        check_rows(dataset(tmp_path, '{"id": 1}', '{"id": 2}', "{", limit=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"offset": 2}, "has 2 rows, and offset 2 leaves none"),
        ({"shard": Shard(index=2, count=3)}, "shard 2 of 3 leaves none"),
    ],
)
def test_choice_that_leaves_no_rows_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    """An experiment without rows is the user's mistake, said with the numbers."""
    with pytest.raises(UserError, match=message):
        check_rows(dataset(tmp_path, '{"id": 1}', '{"id": 2}', **settings))


def test_bad_rows_are_told_together(tmp_path: Path) -> None:
    """One message has each with its line, whichever check it fails."""
    lines = ['{"id": 1}', "{", "[1]", '{"id": null}', "}", '{"id": 1}']

    found = told(check_rows, dataset(tmp_path, *lines))

    assert [line.split(":")[0] for line in found] == ["2", "3", "4", "5", "6"]
    assert found[-1] == "6: the id '1' stands on line 1 already"


def test_ten_of_a_kind_are_named_and_the_others_counted(tmp_path: Path) -> None:
    """Of broken rows and of repeated ids the first ten are named, in the file's order."""
    lines = [*(f'{{"id": {n % 30}}}' for n in range(60)), *["{"] * 50]

    found = told(check_rows, dataset(tmp_path, *lines))

    broken, repeated = found[:11], found[11:]
    assert [line.split(":")[0] for line in broken[:10]] == [str(line) for line in range(61, 71)]
    assert broken[10] == "and 40 more broken rows"
    assert repeated[:10] == [f"{31 + n}: the id '{n}' stands on line {1 + n} already" for n in range(10)]
    assert repeated[10:] == ["and 20 more rows that repeat an id"]


def test_id_column_that_is_nowhere_is_told_once(tmp_path: Path) -> None:
    """Not for every row, and beside the rows that are broken."""
    found = told(check_rows, dataset(tmp_path, '{"idd": 1}', "{", '{"idd": 2}', id="id"))

    assert found[0].startswith("2: no valid JSON")
    assert found[1:] == ["has no column 'id', which dataset.id names (did you mean 'idd'? known: idd)"]


def test_bad_first_row_does_not_hide_the_others(tmp_path: Path) -> None:
    """The columns are those of the first sound row, and every bad one is told."""
    rows = dataset(tmp_path, "{", '{"id": 1}', "}", '{"id": 1}')

    assert columns(rows) == ("id",)
    assert [line.split(":")[0] for line in told(check_rows, rows)] == ["1", "3", "4"]


def test_file_without_a_sound_row_is_told_with_its_rows(tmp_path: Path) -> None:
    """There are no columns then, and no more is said than what is wrong with the rows."""
    rows = dataset(tmp_path, "{", "}")

    assert [line.split(":")[0] for line in told(columns, rows)] == ["1", "2"]
    assert [line.split(":")[0] for line in told(check_rows, rows)] == ["1", "2"]


def test_memory_does_not_grow_with_the_bad_rows(tmp_path: Path) -> None:
    """A file of nothing but repeated ids and broken lines takes a few bytes a row, as a sound one does."""
    rows = dataset(tmp_path, *(f'{{"id": "number {n % 20_000}"}}' for n in range(40_000)), *["{"] * 20_000)

    tracemalloc.start()
    found = told(check_rows, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found[10] == "and 19990 more broken rows"
    assert found[-1] == "and 19990 more rows that repeat an id"
    assert peak < 8_000_000
