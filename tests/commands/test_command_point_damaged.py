"""A point's cache.sqlite, damaged in every way: named, and made anew of what the attempts recorded."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runner.points import PointRecords
from tests.commands.commands_kit import FILES
from tests.commands.conftest import MakeProject
from tests.commands.kept_run import copied_run, kept

__all__ = ["kept"]

Damage = Callable[[Path], object]


def _replaced(*changes: tuple[bytes, bytes]) -> Damage:
    """Return what changes some bytes of a file, and nothing else."""

    def replace(path: Path) -> None:
        data = path.read_bytes()
        for old, new in changes:
            assert old in data
            data = data.replace(old, new)
        path.write_bytes(data)

    return replace


def _cut_table(path: Path) -> None:
    """Have the one page of the results say that it holds one less; their index still has it."""
    with path.open("r+b") as stream:
        stream.seek(_root(path, "results"))
        kind, _, cells = struct.unpack(">BHH", stream.read(5))
        assert kind == 13, "a page that points to no others"
        stream.seek(_root(path, "results") + 3)
        stream.write(struct.pack(">H", cells - 1))


def _root(path: Path, table: str) -> int:
    """Return the byte where a table begins."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((page - 1) * size)


def _executed(statement: str) -> Damage:
    """Return what changes a database, of which every page is sound afterwards."""

    def execute(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(statement)

    return execute


DATABASE_DAMAGES: dict[str, Damage] = {
    "{}": lambda path: path.write_bytes(b"{}"),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "garbage": lambda path: path.write_bytes(b"\xff{ no more than that\n" * 99),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    # SQLite quotes the table's name in a message that Python can't decode.
    "a schema that is not UTF-8": _replaced(
        (b"tablemarksmarks", b"table\xc0arksmarks"), (b"CREATE TABLE marks", b"CREATE TABLQ marks")
    ),
    "results lost": _executed("DELETE FROM results WHERE id IN ('r2', 'r3')"),
    "a result lost by the table alone": _cut_table,
    "a state that doesn't exist": _executed("UPDATE results SET state = 'oj' WHERE id = 'r2'"),
    "a mark that is text": _executed("UPDATE marks SET value = 'x' WHERE name = 'changed'"),
}


@pytest.mark.parametrize("damage", DATABASE_DAMAGES.values(), ids=DATABASE_DAMAGES)
def test_damaged_file_of_a_point_is_made_anew_of_the_records(
    project: MakeProject, kept: Path, damage: Damage
) -> None:
    """What was answered is there again, and nothing is asked."""
    made = project({})
    run = copied_run(made, kept)
    results = (run.path / "points/0/results.jsonl").read_bytes()
    file = run.path / "points/0/cache.sqlite"
    damage(file)

    told = made.ran("status", str(run.path))

    assert f"note: {file} is damaged: it is made anew of what the attempts recorded" in told.err
    assert "complete" in told.lines[0]
    assert (run.path / "points/0/results.jsonl").read_bytes() == results
    assert made.ran("status", str(run.path)).err == ""


def test_results_that_a_file_lost_are_not_asked_again(project: MakeProject, kept: Path) -> None:
    """Without the shared cache too: what the attempts recorded is enough for a resume."""
    made = project({})
    run = copied_run(made, kept)
    results = (run.path / "points/0/results.jsonl").read_bytes()
    _executed("DELETE FROM results WHERE id = 'r4'")(run.path / "points/0/cache.sqlite")

    resumed = made.ran("resume", str(run.path))

    assert "nothing is missing" in resumed.out
    assert (run.path / "points/0/results.jsonl").read_bytes() == results


def test_damage_of_a_point_is_not_blamed_on_the_shared_cache(project: MakeProject) -> None:
    """Nothing but the point's file is damaged: it is named, made anew, and its answers are shared."""
    rows = [{"id": f"r{n}", "question": f"{n:0500}", "answer": str(n)} for n in range(50)]
    made = project({"rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
    made.ran("run", "sums.yaml")
    run = made.last
    file = run.path / "points/0/cache.sqlite"
    _executed("UPDATE marks SET value = 0 WHERE name = 'shared'")(file)
    run.cache.unlink()
    _lose_a_page(file, "responses")

    told = made.ran("status", str(run.path))

    assert f"note: {file} is damaged" in told.err
    assert str(run.cache) not in told.out + told.err
    assert "100 % cached" in made.ran("run", "sums.yaml").out


def _lose_a_page(file: Path, table: str) -> None:
    """Zero the page that holds a table's first rows; the table has several."""
    with closing(sqlite3.connect(file)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as stream:
        stream.seek(_root(file, table))
        page = stream.read(size)
        assert page[0] == 5, "an inner page, which points to others"
        first_cell = int.from_bytes(page[12:14], "big")
        child = int.from_bytes(page[first_cell : first_cell + 4], "big")
        stream.seek((child - 1) * size)
        stream.write(bytes(size))


def test_response_that_is_no_longer_json_has_no_times(project: MakeProject) -> None:
    """The metrics are made without it."""
    made = project({"sums.yaml": FILES["sums.yaml"].replace("kind: fake", "kind: fake, stream: true")})
    made.ran("run", "sums.yaml")
    folder = made.last.path / "points/0"
    _executed("UPDATE responses SET response = zeroblob(length(response)) WHERE rowid = 1")(
        folder / "cache.sqlite"
    )
    (folder / "metrics.json").unlink()

    made.ran("status", str(made.last.path))

    assert json.loads((folder / "metrics.json").read_bytes())["times"]["first_token"]["responses"] == 5


def test_file_that_was_only_just_made_is_no_damage(project: MakeProject) -> None:
    """As by a command that was killed before it served anything from the cache."""
    made = project({})
    run = made.prepare()
    with PointRecords(run.point("0") / "cache.sqlite"):
        pass

    told = made.ran("status", str(run.path), code=3)

    assert told.err == ""
    assert (run.point("0") / "metrics.json").is_file()


def test_column_in_another_case_is_the_same_column(project: MakeProject, kept: Path) -> None:
    """One flipped bit; to SQLite the two names are equal, and so no second column can be added."""
    made = project({})
    run = copied_run(made, kept)
    names = (b"line BLOB NOT NULL,\n      checksum", b"line BLOB NOT NULL,\n      Checksum")
    _replaced(names)(run.path / "points/0/cache.sqlite")

    assert made.ran("status", str(run.path)).err == ""


ROWS = {
    "answer": (b'"slots":{"answer":"4"}', b'"slots":{"answer":"5"}'),
    "id": (b"mainr4", b"mainr\xff"),
}


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS)
def test_damaged_row_of_a_point_is_found(
    project: MakeProject, kept: Path, change: tuple[bytes, bytes]
) -> None:
    """A byte in the middle of a sound database; what was right before is right again."""
    made = project({})
    run = copied_run(made, kept)
    file, results = run.path / "points/0/cache.sqlite", run.path / "points/0/results.jsonl"
    stored, before = file.read_bytes(), results.read_bytes()
    assert change[0] in stored
    file.write_bytes(stored.replace(*change))
    results.unlink()

    told = made.ran("status", str(run.path))

    assert f"{file} is damaged" in told.err
    assert results.read_bytes() == before


@pytest.mark.parametrize("command", ["rescore", "resume"])
def test_damaged_row_of_a_point_is_no_traceback(project: MakeProject, kept: Path, command: str) -> None:
    """Whatever reads it names the file, or does without."""
    made = project({})
    run = copied_run(made, kept)
    file = run.path / "points/0/cache.sqlite"
    file.write_bytes(file.read_bytes().replace(*ROWS["answer"]))

    told = made.run(command, str(run.path))

    assert told.code == 0 or str(file) in told.err
