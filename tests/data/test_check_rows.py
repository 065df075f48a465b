from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from runner.data import check_rows, columns, open_rows
from runner.errors import UserError
from runner.spec import JsonlDataset, Shard

if TYPE_CHECKING:
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
    """The message names the id and the lines; a number and its text are the same id."""
    lines = ['{"id": "a"}', '{"id": 7}', "", '{"id": "b"}', '{"id": "7"}', '{"id": "a"}']

    with pytest.raises(UserError, match=r"the id '7' stands on line 2 and on line 5 \(and 1 more"):
        check_rows(dataset(tmp_path, *lines))


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
    """One message names ten of them at most, each with its line, whichever check they fail."""
    lines = ['{"id": 1}', "{", "[1]", '{"id": null}', "}"]

    with pytest.raises(UserError) as caught:
        check_rows(dataset(tmp_path, *lines))
    told = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in told] == ["2", "3", "4", "5"]

    with pytest.raises(UserError) as caught:
        check_rows(dataset(tmp_path, '{"id": 1}', *["{"] * 50))
    assert len(str(caught.value).splitlines()) == 10


def test_bad_first_row_does_not_hide_the_others(tmp_path: Path) -> None:
    """Asking for the columns, which the first row shows, tells of all that is bad."""
    with pytest.raises(UserError, match=r"(?s)jsonl:1: .*jsonl:3: "):
        columns(dataset(tmp_path, "{", '{"id": 1}', "}"))
