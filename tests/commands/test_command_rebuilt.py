"""Every file of a run, damaged in every way: reported by name, made anew where that can be."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.runs import RunFolder
from tests.commands.commands_kit import Outcome
from tests.commands.conftest import MakeProject
from tests.commands.kept_run import copied_run, kept

__all__ = ["kept"]

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
        run = copied_run(made, kept)
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
    run = copied_run(made, kept)
    file = run.path / name
    before = file.read_bytes()
    damage(file)

    told = made.run("status", str(run.path))

    assert str(file) in told.err
    if not file.is_dir():
        assert told.code == 0
        assert file.read_bytes() == before
        assert made.ran("status", str(run.path)).err == ""


def test_damaged_record_is_a_missing_row(project: MakeProject, kept: Path) -> None:
    """A flipped digit would still be JSON; a resume asks that row again, and no other."""
    made = project({})
    run = copied_run(made, kept)
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
    run = copied_run(made, kept)
    file = _file(run, name)
    file.unlink()

    told = made.ran("status", str(run.path))

    assert f"warning: {file} is gone or damaged" in told.out.replace("\n", "")


@pytest.mark.parametrize("name", ["provenance.json", "inputs"])
def test_status_names_frozen_files_that_were_cut(project: MakeProject, kept: Path, name: str) -> None:
    """By what can be told without reading a copy."""
    made = project({})
    run = copied_run(made, kept)
    file = _file(run, name)
    os.truncate(file, file.stat().st_size // 2)

    told = made.ran("status", str(run.path))

    assert f"warning: {file} is gone or damaged" in told.out.replace("\n", "")


@pytest.mark.parametrize("command", ["resume", "rescore"])
def test_copy_that_was_cut_is_refused(project: MakeProject, kept: Path, command: str) -> None:
    """Other rows than those that were planned are neither asked nor scored."""
    made = project({})
    run = copied_run(made, kept)
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
    run = copied_run(made, kept)
    log = run.path / JOB / "1" / "records.jsonl"
    os.truncate(log, log.stat().st_size - 9)
    _append(log, bytes(4096))
    shutil.rmtree(run.path / "points")

    told: Outcome = made.ran("resume", str(run.path))

    assert "1 of 6 results missing" in told.out
