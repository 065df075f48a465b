"""Hashes of files: what is remembered of a large file holds for exactly that version of it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pydantic_core
import pytest

from runner.data import check_rows
from runner.errors import UserError
from runner.hash_memo import MEMO_FILE, FileVersion, HashMemo
from runner.hashes import ALWAYS_HASHED, content_hash, file_version
from runner.notices import forget_notices
from runner.spec import JsonlDataset

LONG_AGO = (10**18, 10**18)
LARGE = ALWAYS_HASHED + 1
AT_REST = Path(pydantic_core._pydantic_core.__file__)
"""A large file that nobody has touched for longer than it takes to settle."""


@pytest.fixture(autouse=True)
def memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memo of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget_notices()
    return tmp_path / "cache" / "runner" / MEMO_FILE


def read_by(action: Callable[[], object]) -> int:
    """Return how many bytes this process reads while it does something."""

    def total() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = total()
    action()
    return total() - before


def test_large_file_at_rest_is_read_once() -> None:
    """The second time its version stands for its content."""
    first = read_by(lambda: content_hash(AT_REST))
    again = read_by(lambda: content_hash(AT_REST))

    assert AT_REST.stat().st_size > ALWAYS_HASHED
    assert first > AT_REST.stat().st_size > again


@pytest.mark.parametrize("field", range(5), ids=FileVersion._fields)
def test_hash_of_another_version_is_not_taken(field: int) -> None:
    """Path, size, inode and both times count, each by itself."""
    version = file_version(AT_REST)
    values = [*version]
    values[field] = "/x" if field == 0 else 1
    other = FileVersion._make(values)
    with closing(HashMemo()) as memo:
        memo.keep(version, "digest")

        assert memo.find(version) == "digest"
        assert memo.find(other) is None


@pytest.mark.parametrize("size", [8, LARGE])
@pytest.mark.parametrize("how", ["written over", "renamed over", "linked"])
def test_checkpoint_of_equal_size_and_time_is_another_one(tmp_path: Path, how: str, size: int) -> None:
    """However it came to lie there."""
    folder = tmp_path / "weights"
    folder.mkdir()
    file, other = folder / "model.safetensors", tmp_path / "other"
    for path, byte in ((file, b"a"), (other, b"b")):
        path.write_bytes(byte * size)
        os.utime(path, ns=LONG_AGO)
    before = content_hash(folder)

    if how == "written over":
        file.write_bytes(other.read_bytes())
        os.utime(file, ns=LONG_AGO)
    elif how == "renamed over":
        other.replace(file)
    else:
        file.unlink()
        file.symlink_to(other)

    assert content_hash(folder) != before


def test_any_inode_and_any_name_can_be_remembered() -> None:
    """Numbers beyond SQLite's, and bytes that are not UTF-8."""
    version = file_version(AT_REST)._replace(path="/weights/\udcff.bin", inode=2**64 - 1)
    with closing(HashMemo()) as memo:
        memo.keep(version, "digest")

        assert memo.find(version) == "digest"


def test_name_that_is_not_utf8_counts(tmp_path: Path) -> None:
    """As any other name does."""
    (tmp_path / "\udcff.txt").write_text("text")
    before = content_hash(tmp_path)

    (tmp_path / "\udcff.txt").rename(tmp_path / "\udcfe.txt")

    assert content_hash(tmp_path) != before


def test_small_file_is_read_whatever_is_remembered(tmp_path: Path) -> None:
    """An entry for it isn't looked at."""
    file = tmp_path / "chat.j2"
    file.write_text("text")
    with closing(HashMemo()) as memo:
        memo.keep(file_version(file), "0" * 64)

    assert content_hash(file) != "0" * 64


def test_file_that_just_changed_is_not_remembered(tmp_path: Path) -> None:
    """It may change again within the same tick of the clock."""
    file = tmp_path / "model.bin"
    file.write_bytes(bytes(LARGE))
    os.utime(file, ns=LONG_AGO)

    content_hash(file)

    with closing(HashMemo()) as memo:
        assert memo.find(file_version(file)) is None


def test_linked_folder_counts_by_what_is_in_it(tmp_path: Path) -> None:
    """An engine loads what is there as it does from a folder of its own; a link upwards adds nothing."""
    for name in ("plain", "linked"):
        (tmp_path / name).mkdir()
    (tmp_path / "plain" / "part").mkdir()
    (tmp_path / "plain" / "part" / "model.bin").write_text("first")
    (tmp_path / "linked" / "part").symlink_to(tmp_path / "plain" / "part")
    (tmp_path / "linked" / "part" / "up").symlink_to(tmp_path / "plain")

    assert content_hash(tmp_path / "linked") == content_hash(tmp_path / "plain")


APPEND = """
import sys, time
print(flush=True)
with open(sys.argv[1], "ab", buffering=0) as out:
    while True:
        out.write(sys.argv[2].encode())
        time.sleep(0.0005)
"""


@contextmanager
def appended_to(file: Path, text: str) -> Iterator[None]:
    """Have another process append to a file all the while."""
    with subprocess.Popen([sys.executable, "-c", APPEND, file, text], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            yield
        finally:
            writer.kill()


def test_file_that_goes_on_changing_is_refused_by_name(tmp_path: Path) -> None:
    """A hash of it would be of no version that ever was."""
    file = tmp_path / "model.bin"
    file.write_bytes(bytes(32 * LARGE))

    with appended_to(file, "x"), pytest.raises(UserError, match=f"{file} changes while it is read"):
        content_hash(file)


def test_dataset_that_goes_on_changing_is_refused_by_name(tmp_path: Path) -> None:
    """Rows that were checked and rows that are asked would be others."""
    file, line = tmp_path / "rows.jsonl", '{"q": 1}\n'
    file.write_text(line * 20_000)

    with appended_to(file, line), pytest.raises(UserError, match=f"{file} changes while it is read"):
        check_rows(JsonlDataset(path=str(file)))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda memo: memo.write_bytes(b"no database" * 1000),
    "cut": lambda memo: os.truncate(memo, memo.stat().st_size // 2),
    "another schema": lambda memo: _execute(memo, "DROP TABLE files", "CREATE TABLE files(other)"),
    "a hash that is not UTF-8": lambda memo: _execute(memo, "UPDATE files SET hash = CAST(x'ff' AS TEXT)"),
    # SQLite quotes the table's name in a message that Python can't decode.
    "a schema that is not UTF-8": lambda memo: memo.write_bytes(
        memo
        .read_bytes()
        .replace(b"tablefilesfiles", b"table\xc0ilesfiles")
        .replace(b"CREATE TABLE files", b"CREATE TABLQ files")
    ),
}


def _execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_memo_is_replaced_and_named(
    memo: Path, damage: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """It costs a second reading, and works again after that."""
    before = content_hash(AT_REST)
    damage(memo)

    assert content_hash(AT_REST) == before
    assert capsys.readouterr().err.startswith(f"note: {memo} was damaged (")
    assert read_by(lambda: content_hash(AT_REST)) < AT_REST.stat().st_size


def test_damaged_entry_of_the_memo_is_not_taken(memo: Path) -> None:
    """A hash that lost a bit would be another model's key."""
    before = content_hash(AT_REST)
    _execute(memo, "UPDATE files SET hash = 'f' || substr(hash, 2)", "UPDATE files SET hash = upper(hash)")

    assert content_hash(AT_REST) == before


def test_memo_that_is_a_folder_only_costs_time(memo: Path) -> None:
    """Nothing is remembered, and nothing fails."""
    memo.mkdir(parents=True)

    assert content_hash(AT_REST) == content_hash(AT_REST)
