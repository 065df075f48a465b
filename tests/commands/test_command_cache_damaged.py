"""The shared cache, damaged: an entry counts as none, a file that is none is one message."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runner.runs import all_runs
from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject

NOTE = "note: damaged entry ignored in "


def _filled(project: MakeProject) -> tuple[Project, Path]:
    """Fill the cache of a project with six answers, and remove the run that did."""
    made = project({})
    made.ran("run", "sums.yaml")
    shutil.rmtree(made.last.path.parent)
    return made, made.root / "runs" / ".cache.sqlite"


def _execute(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(statement)


ONE = "WHERE rowid = 3"
ENTRIES = {
    "another answer": (
        'UPDATE responses SET response = CAST(replace(CAST(response AS TEXT), \'"text":"\', '
        f'\'"text":"9\') AS BLOB) {ONE}'
    ),
    "cut": f"UPDATE responses SET response = substr(response, 1, 9) {ONE}",
    "empty": f"UPDATE responses SET response = x'' {ONE}",
    "text": f"UPDATE responses SET response = CAST(response AS TEXT) || '' {ONE}",
    "zeros": f"UPDATE responses SET response = zeroblob(length(response)) {ONE}",
    "another checksum": f"UPDATE responses SET checksum = checksum + 1 {ONE}",
    "no checksum, and no response": f"UPDATE responses SET checksum = NULL, response = x'7b' {ONE}",
}


@pytest.mark.parametrize("damage", ENTRIES.values(), ids=ENTRIES)
def test_damaged_entry_is_asked_again_and_replaced(project: MakeProject, damage: str) -> None:
    """With one note; the next run finds the new answer."""
    made, cache = _filled(project)
    _execute(cache, damage)

    planned = made.ran("plan", "sums.yaml")
    first = made.ran("run", "sums.yaml")
    results = (made.last.path / "points/0/results.jsonl").read_bytes()
    again = made.ran("run", "sums.yaml")

    assert planned.err.count(f"{NOTE}{cache}") == 1
    assert first.err.count(f"{NOTE}{cache}") == 1
    assert "5 of 6 answers cached" in first.out
    assert NOTE not in again.err
    assert "100 % cached" in again.out
    assert without_source((made.last.path / "points/0/results.jsonl").read_bytes()) == without_source(results)
    assert results.count(b'"value":1.0') == 3


def without_source(results: bytes) -> list[object]:
    """Return the lines of a results.jsonl without where the answers came from."""
    lines = [json.loads(line) for line in results.splitlines()]
    return [{name: line[name] for name in line if name not in {"cached", "sources"}} for line in lines]


def test_entry_without_a_checksum_is_still_good(project: MakeProject) -> None:
    """A file of an earlier version: what was paid for stays, and new answers get theirs."""
    made, cache = _filled(project)
    _execute(cache, "ALTER TABLE responses DROP COLUMN checksum")

    cached = made.ran("run", "sums.yaml")
    made.ran("run", "sums.yaml", "sampling.temperature=0.5")

    assert "100 % cached" in cached.out
    assert "note:" not in cached.err
    with closing(sqlite3.connect(cache)) as db:
        kinds = dict(db.execute("SELECT checksum IS NULL, count(*) FROM responses GROUP BY 1"))
    assert kinds == {1: 6, 0: 6}


@pytest.mark.parametrize("words", [("cache", "stats"), ("cache", "explain", "sums.yaml", "--row", "3")])
def test_damaged_request_is_passed_over_with_a_note(project: MakeProject, words: tuple[str, ...]) -> None:
    """By whatever shows what is stored."""
    made, cache = _filled(project)
    _execute(cache, "UPDATE responses SET request = substr(request, 1, 40), response = x'00'")

    shown = made.ran(*words)

    assert shown.err.count(f"{NOTE}{cache}") >= 1


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _other(path: Path) -> None:
    path.unlink()
    _execute(path, "CREATE TABLE responses(key BLOB PRIMARY KEY, answer TEXT)")


def test_explanation_of_a_damaged_entry_says_so(project: MakeProject) -> None:
    """It is neither missing nor another request."""
    made, cache = _filled(project)
    _execute(cache, "UPDATE responses SET response = x'00'")

    shown = made.ran("cache", "explain", "sums.yaml", "--row", "3")

    assert "what is stored under this key is damaged: a run sends the request again" in shown.lines


FILES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_bytes(b"no database, but as long as the head of one" * 99),
    "short text": lambda path: path.write_bytes(b"no database"),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "zeroed head": lambda path: path.write_bytes(bytes(16) + path.read_bytes()[16:]),
    "lost pages": lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096)),
    "another schema": _other,
    "a folder": _folder,
}


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES)
def test_damaged_cache_is_one_message_that_names_it(
    project: MakeProject, damage: Callable[[Path], object]
) -> None:
    """Exit code 2, no folder, and how to do without."""
    made, cache = _filled(project)
    damage(cache)

    told = [made.run("plan", "sums.yaml"), made.run("run", "sums.yaml"), made.run("cache", "stats")]

    for outcome in told:
        assert outcome.code == 2, outcome
        assert outcome.err.startswith(f"runner: the cache {cache} ")
        assert outcome.err.count("\n") == 1
        assert "cache=false does without" in outcome.err
    assert all_runs(made.root / "runs") == []
    assert not (made.root / "runs" / "sums").exists()


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES)
def test_run_without_the_cache_never_looks_at_it(
    project: MakeProject, damage: Callable[[Path], object]
) -> None:
    """`cache: false` neither reads nor fills it, so that it may be damaged; so does its resume."""
    made, cache = _filled(project)
    damage(cache)

    told = [made.ran("plan", "sums.yaml", "cache=false"), made.ran("run", "sums.yaml", "cache=false")]
    told.append(made.ran("resume"))

    assert str(cache) not in "".join(outcome.err + outcome.out for outcome in told)
