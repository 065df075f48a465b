"""Every command on a run that has lost a file, or holds something else in its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.errors import UserError
from runner.resolved import check_whole
from runner.runs import RunFolder, all_runs
from tests.commands.commands_kit import FILES as FILES_OF_A_PROJECT
from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING

Damage = Callable[[Path], None]

JOB = "jobs/0-parrot"
COMMANDS = {
    "status": ("status", "RUN"),
    "status --json": ("status", "RUN", "--json"),
    "status --all": ("status", "--all"),
    "logs": ("logs", "RUN"),
    "cancel": ("cancel", "RUN"),
    "cancel point": ("cancel", "RUN", "0"),
    "resume": ("resume", "RUN"),
    "rescore": ("rescore", "RUN"),
    "cache stats": ("cache", "stats"),
    "doctor": ("doctor",),
}
ALL = {*COMMANDS} - {"cache stats", "doctor"}
NEEDED = {
    f"{JOB}/job.json": {"status", "status --json", "status --all", "cancel point", "resume", "rescore"},
    "resolved.json": {
        "status",
        "status --json",
        "status --all",
        "cancel",
        "cancel point",
        "resume",
        "rescore",
    },
    "provenance.json": {"rescore"},
    "inputs": {"rescore"},
}
"""What can't be done without a file, whether it is gone or holds something else."""
WHEN_GONE = {f"{JOB}/job.json": {"logs", "cancel"}}
"""What besides can't be done without one that is gone: of what it holds these read nothing."""
WHEN_OTHER = {
    f"{JOB}/submission.json": {"status", "status --json", "status --all", "logs", "cancel", "resume"},
    f"{JOB}/1/state.json": {"status", "status --json", "status --all", "logs", "cancel", "resume"},
}
"""What can't be done where one holds something else: that it is not there says something of its own."""
GONE = {
    "jobs": "jobs/job.json",
    JOB: "jobs/job.json",
    f"{JOB}/job.json": f"{JOB}/job.json",
}
"""What is told to be gone where these are."""
OTHERS = (
    "experiment.yaml",
    "overrides.txt",
    f"{JOB}/1/records.jsonl",
    f"{JOB}/folded.json",
    "points/0/cache.sqlite",
    "points/0/metrics.json",
    "points/0/results.jsonl",
)
"""Files that a complete run does without, or makes anew, whatever they hold."""
FOLDERS = (f"{JOB}/1", "points", "points/0")
FILES = sorted({*NEEDED, *WHEN_GONE, *WHEN_OTHER, *OTHERS} - {"inputs"})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run in a process that has ended: a job inside of this one would seem to go on."""
    root = tmp_path_factory.mktemp("kept")
    for name, text in FILES_OF_A_PROJECT.items():
        (root / name).write_text(text)
    words = ["run", "sums.yaml", "cache=false", "--runs", str(root / "runs")]
    subprocess.run([sys.executable, "-m", "runner", *words], cwd=root, check=True, capture_output=True)
    return all_runs(root / "runs")[0].path


def _gone(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _garbage(path: Path) -> None:
    path.write_bytes(b"\xff{ no more than that" * 99)


def _told(outcome: Outcome, command: str, path: Path) -> bool:
    """Tell whether a command says which file is at fault, and exits as for that."""
    said = outcome.err + outcome.out
    named = str(path) in said or f"{path.parent} is damaged (no {path.name} in it)" in said
    return outcome.code == (1 if command == "status --all" else 2) and named


def _wrong(
    made: Project, kept: Path, damaged: str, damage: Damage, told: str, needing: set[str]
) -> list[Any]:
    """Return what commands did that was neither what they do on a whole run nor one message with the file."""
    run, wrong = made.root / "runs" / "sums" / kept.name, []
    for name, command in COMMANDS.items():
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(kept, run)
        damage(run / damaged)
        outcome = made.run(*(str(run) if word == "RUN" else word for word in command))
        if not (_told(outcome, name, run / told) if name in needing else outcome.code == 0):
            wrong.append((name, outcome))
    shutil.rmtree(run)
    return wrong


@pytest.mark.parametrize("file", [*FILES, *FOLDERS, "inputs", "jobs", JOB])
def test_every_command_names_what_is_gone_or_does_without(
    project: MakeProject, kept: Path, file: str
) -> None:
    """No traceback: one message, or what it says of a whole run."""
    needing = NEEDED.get(file, set()) | WHEN_GONE.get(file, set())
    if file in {"jobs", JOB}:
        needing = ALL
    assert _wrong(project({}), kept, file, _gone, GONE.get(file, file), needing) == []


@pytest.mark.parametrize("file", FILES)
def test_every_command_names_what_is_garbage_or_does_without(
    project: MakeProject, kept: Path, file: str
) -> None:
    """No traceback: one message, or what it says of a whole run."""
    needing = NEEDED.get(file, set()) | WHEN_OTHER.get(file, set())
    assert _wrong(project({}), kept, file, _garbage, file, needing) == []


def test_resume_of_rows_that_are_gone_begins_nothing(project: MakeProject) -> None:
    """It names the copy that was made of them, and no job is started that could only fail."""
    made = project({})
    made.ran("run", "sums.yaml", *FAILING, code=3)
    (copy,) = (made.last.path / "inputs").iterdir()
    copy.unlink()

    told = made.ran("resume", code=2)

    assert told.err == (
        f"runner: {copy.parent} is damaged (no {copy.name} in it): put it back, or start a new run\n"
    )
    assert told.out == ""
    assert not (made.last.jobs[0] / "2").exists()


def test_rescore_tells_a_copy_from_rows_too_large_for_one(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both it says what is true, and how to go on."""
    made = project({})
    made.ran("run", "sums.yaml")
    (copy,) = (made.last.path / "inputs").iterdir()
    copy.unlink()
    of_copy = made.ran("rescore", "last", code=2).err
    monkeypatch.setattr("runner.prepare.COPY_LIMIT", 0)
    made.ran("run", "sums.yaml", "cache=false")
    rows = made.root / "rows.jsonl"
    rows.unlink()
    of_large = made.ran("rescore", "last", code=2).err

    what_helps = "put it back, or start a new run\n"
    assert of_copy == f"runner: {copy.parent} is damaged (no {copy.name} in it): {what_helps}"
    assert of_large == (
        f"runner: dataset {rows} is gone; it was too large to be copied into the run: {what_helps}"
    )


@pytest.mark.parametrize("lost", ["points", "points/0", "points/0/cache.sqlite"])
def test_results_that_are_gone_are_made_anew(project: MakeProject, lost: str) -> None:
    """Of what the attempts recorded: nothing is asked again."""
    made = project({})
    made.ran("run", "sums.yaml", "cache=false")
    before = (made.last.path / "points/0/results.jsonl").read_bytes()
    _gone(made.last.path / lost)

    made.ran("status")

    assert (made.last.path / "points/0/results.jsonl").read_bytes() == before


def test_run_without_its_points_is_the_newest_all_the_same(project: MakeProject) -> None:
    """It isn't passed over for an older one, however it is named."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.ran("run", "sums.yaml", "name=newest")
    run = made.last
    (run.path / "resolved.json").unlink()

    told = {made.ran("status", name, code=2).err for name in ("last", run.name, str(run.path), "newest/last")}
    listed = made.ran("status", "--all", code=1)

    damaged = f"{run.path} is damaged (no resolved.json in it): put it back, or start a new run"
    assert told == {f"runner: {damaged}\n"}
    assert f"damaged: {run.name}: {damaged}" in listed.lines


def test_folder_whose_command_was_killed_as_it_wrote_it_is_no_run(project: MakeProject) -> None:
    """What is written last isn't there: it is neither shown nor called damaged."""
    made = project({})
    made.ran("run", "sums.yaml")
    older = made.last
    run = made.prepare("name=killed")
    (run.path / "resolved.json").unlink()

    listed = made.ran("status", "--all")

    assert made.last == older
    assert "1 run; runner status RUN tells more" in listed.lines
    assert made.run("status", "killed").err.startswith("runner: no run 'killed' in ")


def test_run_folder_that_is_gone_is_named_itself(tmp_path: Path) -> None:
    """Renamed while its command waits, say: none of its files is what is missing."""
    with pytest.raises(UserError) as caught:
        check_whole(RunFolder(tmp_path / "sums" / "20260101T000000-0000"))

    assert str(caught.value).startswith(f"{tmp_path / 'sums'} is gone: ")
