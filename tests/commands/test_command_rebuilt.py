"""Every file of a run, damaged in every way: reported by name, made anew where that can be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.runs import RunFolder, all_runs
from tests.commands.commands_kit import FILES, Outcome, Project
from tests.commands.conftest import MakeProject

JOB = "jobs/0-parrot"

Damage = Callable[[Path], object]


def _removed(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "{}": lambda path: path.write_bytes(b"{}"),
    "null": lambda path: path.write_bytes(b"null\n"),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut at its end": lambda path: os.truncate(path, max(0, path.stat().st_size - 2)),
    "garbage": lambda path: path.write_bytes(b"\xff{ no more than that\n" * 99),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeros at its end": lambda path: _append(path, bytes(4096)),
    "a line more": lambda path: _append(path, b'{"one": "more"}\n'),
    "removed": _removed,
    "a folder": _folder,
}
REMADE = ("points/0/results.jsonl", "points/0/metrics.json", f"{JOB}/folded.json", "points/0/cache.sqlite")
REPORTED = (
    "experiment.yaml",
    "overrides.txt",
    "provenance.json",
    "resolved.json",
    "inputs",
    f"{JOB}/job.json",
    f"{JOB}/submission.json",
    f"{JOB}/1/state.json",
    f"{JOB}/1/records.jsonl",
)
COMMANDS = (
    ("status", "RUN"),
    ("status", "RUN", "--json"),
    ("status", "--all"),
    ("logs", "RUN"),
    ("resume", "RUN"),
    ("rescore", "RUN"),
    ("cancel", "RUN"),
    ("cache", "stats"),
)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run in a process that has ended: a job inside of this one would seem to go on."""
    root = tmp_path_factory.mktemp("kept")
    for name, text in FILES.items():
        (root / name).write_text(text)
    words = ["run", "sums.yaml", "--runs", str(root / "runs")]
    subprocess.run([sys.executable, "-m", "runner", *words], cwd=root, check=True, capture_output=True)
    return all_runs(root / "runs")[0].path


def _copied(made: Project, kept: Path) -> RunFolder:
    """Put a fresh copy of the run into a project."""
    run = made.root / "runs" / "sums" / kept.name
    shutil.rmtree(made.root / "runs", ignore_errors=True)
    shutil.copytree(kept, run)
    return RunFolder(run)


def _file(run: RunFolder, name: str) -> Path:
    if name != "inputs":
        return run.path / name
    (copy,) = (run.path / "inputs").iterdir()
    return copy


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", [*REMADE, *REPORTED])
def test_damage_never_ends_in_a_traceback(
    project: MakeProject, kept: Path, name: str, damage: Damage
) -> None:
    """A command goes on as on a whole run, or names what is at fault and exits as for a mistake."""
    made, wrong = project({}), []
    for command in COMMANDS:
        run = _copied(made, kept)
        file = _file(run, name)
        damage(file)
        outcome = made.run(*(str(run.path) if word == "RUN" else word for word in command))
        said = outcome.err + outcome.out
        named = str(file) in said or f"(no {file.name} in it)" in said
        if outcome.code not in {0, 1, 2} or (outcome.code and not named):
            wrong.append((command, outcome))
    shutil.rmtree(made.root / "runs")
    assert wrong == []


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["points/0/results.jsonl", "points/0/metrics.json"])
def test_exported_file_is_named_and_made_anew(
    project: MakeProject, kept: Path, name: str, damage: Damage
) -> None:
    """Byte for byte as it was; a folder in its place is in the way."""
    made = project({})
    run = _copied(made, kept)
    file = run.path / name
    before = file.read_bytes()
    damage(file)

    told = made.run("status", str(run.path))

    assert str(file) in told.err
    if not file.is_dir():
        assert told.code == 0
        assert file.read_bytes() == before
        assert made.ran("status", str(run.path)).err == ""


DATABASE_DAMAGES = {name: DAMAGES[name] for name in ("{}", "cut in half", "garbage", "zeros")}


@pytest.mark.parametrize("damage", DATABASE_DAMAGES.values(), ids=DATABASE_DAMAGES)
def test_damaged_file_of_a_point_is_made_anew_of_the_records(
    project: MakeProject, kept: Path, damage: Damage
) -> None:
    """What was answered is there again, and nothing is asked."""
    made = project({})
    run = _copied(made, kept)
    results = (run.path / "points/0/results.jsonl").read_bytes()
    file = run.path / "points/0/cache.sqlite"
    damage(file)

    told = made.ran("status", str(run.path))

    assert f"note: {file} is damaged: it is made anew of what the attempts recorded" in told.err
    assert "complete" in told.lines[0]
    assert (run.path / "points/0/results.jsonl").read_bytes() == results
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
    run = _copied(made, kept)
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
    run = _copied(made, kept)
    file = run.path / "points/0/cache.sqlite"
    file.write_bytes(file.read_bytes().replace(*ROWS["answer"]))

    told = made.run(command, str(run.path))

    assert told.code == 0 or str(file) in told.err


def test_damaged_record_is_a_missing_row(project: MakeProject, kept: Path) -> None:
    """A flipped digit would still be JSON; a resume asks that row again, and no other."""
    made = project({})
    run = _copied(made, kept)
    log = run.path / JOB / "1" / "records.jsonl"
    data = log.read_bytes()
    log.write_bytes(data.replace(b'"slots":{"answer":"4"}', b'"slots":{"answer":"5"}'))
    shutil.rmtree(run.path / "points")

    told = made.ran("status", str(run.path), code=3)
    resumed = made.ran("resume", str(run.path))

    assert f"note: damaged records ignored in {log}" in told.err
    assert "resuming" in resumed.out
    assert "1 of 6 results missing" in resumed.out
    lines = (run.path / "points/0/results.jsonl").read_text().splitlines()
    assert [json.loads(line)["slots"]["answer"] for line in lines] == [str(n) for n in range(6)]


@pytest.mark.parametrize("name", ["experiment.yaml", "overrides.txt", "provenance.json", "inputs"])
def test_status_names_frozen_files_that_are_gone(project: MakeProject, kept: Path, name: str) -> None:
    """What doesn't change the results is a warning."""
    made = project({})
    run = _copied(made, kept)
    file = _file(run, name)
    file.unlink()

    told = made.ran("status", str(run.path))

    assert f"warning: {file} is gone or damaged" in told.out.replace("\n", "")


@pytest.mark.parametrize("name", ["provenance.json", "inputs"])
def test_status_names_frozen_files_that_were_cut(project: MakeProject, kept: Path, name: str) -> None:
    """By what can be told without reading a copy."""
    made = project({})
    run = _copied(made, kept)
    file = _file(run, name)
    os.truncate(file, file.stat().st_size // 2)

    told = made.ran("status", str(run.path))

    assert f"warning: {file} is gone or damaged" in told.out.replace("\n", "")


@pytest.mark.parametrize("command", ["resume", "rescore"])
def test_copy_that_was_cut_is_refused(project: MakeProject, kept: Path, command: str) -> None:
    """Other rows than those that were planned are neither asked nor scored."""
    made = project({})
    run = _copied(made, kept)
    copy = _file(run, "inputs")
    copy.write_bytes(copy.read_bytes().replace(b"question", b"answer  "))
    shutil.rmtree(run.path / "points")
    log = run.path / JOB / "1" / "records.jsonl"
    os.truncate(log, log.stat().st_size // 2)

    told = made.ran(command, str(run.path), code=2)

    assert f"runner: {copy} is damaged (it is not what was copied when the run was launched): " in told.err


def test_last_record_that_was_cut_is_asked_again(project: MakeProject, kept: Path) -> None:
    """Zeros after it, as a power failure leaves them, change nothing."""
    made = project({})
    run = _copied(made, kept)
    log = run.path / JOB / "1" / "records.jsonl"
    os.truncate(log, log.stat().st_size - 9)
    _append(log, bytes(4096))
    shutil.rmtree(run.path / "points")

    told: Outcome = made.ran("resume", str(run.path))

    assert "1 of 6 results missing" in told.out
