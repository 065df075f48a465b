"""Run folders that something has damaged: told of by name, and in nobody's way."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from runner.runs import RunFolder
from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING

JOB = "jobs/0-parrot"

CUT = {
    "job": f"{JOB}/job.json",
    "submission": f"{JOB}/submission.json",
    "state": f"{JOB}/1/state.json",
}
OTHER = {
    "job of other keys": (f"{JOB}/job.json", b"{}"),
    "job that is a list": (f"{JOB}/job.json", b"[1]"),
    "state of other keys": (f"{JOB}/1/state.json", b'{"state": "complete"}'),
    "empty state": (f"{JOB}/1/state.json", b""),
}


def _made(project: MakeProject) -> tuple[Project, RunFolder]:
    """Make three runs, of which the one in the middle is to be damaged."""
    made = project({})
    made.ran("run", "sums.yaml", "name=first")
    made.ran("run", "sums.yaml", "name=middle", "cache=false")
    run = made.last
    made.ran("run", "sums.yaml", "name=last", "cache=false", *FAILING, code=3)
    return made, run


def _check(made: Project, run: RunFolder, told: str | Path) -> None:
    """Check that one line tells of the damage, and that the others are shown; then remove the damaged run."""
    listed = made.ran("status", "--all", code=1)
    read = made.ran("status", "--all", "--json", code=1).json

    assert _states(listed) == ["first complete", "middle damaged", "last incomplete"]
    (line,) = (line for line in listed.lines if line.startswith("damaged: "))
    assert line.startswith(f"damaged: {run.name}: ")
    assert str(told) in line
    assert [(one["state"], one["error"] is None) for one in read] == [
        ("complete", True),
        ("damaged", False),
        ("incomplete", True),
    ]
    _remove(run)


def _remove(run: RunFolder) -> None:
    """Remove a run: the project ends what its runs left under way, which a damaged one doesn't tell."""
    for folder in run.path.glob("jobs/*"):
        folder.chmod(stat.S_IRWXU)
    shutil.rmtree(run.path)


def _states(listed: Outcome) -> list[str]:
    rows = (line.split() for line in listed.lines[1:4])
    return [f"{name.partition('/')[0]} {state}" for name, state, *_ in rows]


@pytest.mark.parametrize("file", CUT.values(), ids=CUT)
def test_list_of_runs_goes_on_past_a_file_that_was_cut(project: MakeProject, file: str) -> None:
    """The run is named with the file, and the exit code is 1."""
    made, run = _made(project)
    path = run.path / file
    path.write_bytes(path.read_bytes()[:-5])

    _check(made, run, f"{path} is damaged (")


@pytest.mark.parametrize(("file", "data"), OTHER.values(), ids=OTHER)
def test_list_of_runs_goes_on_past_a_file_of_something_else(
    project: MakeProject, file: str, data: bytes
) -> None:
    """Other keys, other types, nothing at all."""
    made, run = _made(project)
    (run.path / file).write_bytes(data)

    _check(made, run, f"{run.path / file} is damaged (")


def test_list_of_runs_goes_on_past_a_record_that_is_none(project: MakeProject) -> None:
    """A whole line that no worker wrote, which the next fold comes to."""
    made, run = _made(project)
    file = run.path / JOB / "1" / "records.jsonl"
    with file.open("ab") as log:
        log.write(b"{}\n")

    _check(made, run, f"{file} is damaged at byte ")


def test_list_of_runs_goes_on_past_a_record_of_an_unknown_point(project: MakeProject) -> None:
    """Whose it is, nobody knows."""
    made, run = _made(project)
    file = run.path / JOB / "1" / "records.jsonl"
    with file.open("ab") as log:
        log.write(b'{"point": 7, "answers": []}\n')

    _check(made, run, f"(it is of point 7, which {run.jobs[0].name} doesn't have)")


def test_list_of_runs_goes_on_past_a_job_of_another_version(project: MakeProject) -> None:
    """What job.json declares is no experiment to this one."""
    made, run = _made(project)
    file = run.path / JOB / "job.json"
    job = json.loads(file.read_bytes())
    job["points"][0]["declared"]["seeds"] = 1
    file.write_text(json.dumps(job))

    _check(made, run, "the experiment of point 0 is damaged, or of another version of the runner (seeds: ")


@pytest.mark.parametrize("lost", ["jobs", JOB, f"{JOB}/job.json"])
def test_run_that_lost_its_jobs_is_damaged(project: MakeProject, lost: str) -> None:
    """It is neither complete nor cancelled: nobody knows what it was to be."""
    made, run = _made(project)
    path = run.path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    _check(made, run, "(no job.json in it)")


def test_list_of_runs_goes_on_past_a_folder_that_may_not_be_read(project: MakeProject) -> None:
    """The reason is the system's own."""
    made, run = _made(project)
    (run.path / JOB).chmod(0)
    if os.access(run.path / JOB, os.R_OK):
        (run.path / JOB).chmod(stat.S_IRWXU)
        pytest.skip("this user may read whatever the mode says")
    _check(made, run, "Permission denied")


@pytest.mark.parametrize("up", [0, 1])
def test_runs_that_may_not_be_looked_into_are_not_passed_over_in_silence(
    project: MakeProject, up: int
) -> None:
    """The folder is named, of a run or of an experiment."""
    made, run = _made(project)
    folder = (run.path, run.path.parent)[up]
    folder.chmod(0)
    may = os.access(folder, os.R_OK)
    listed = made.run("status", "--all")
    folder.chmod(stat.S_IRWXU)
    if may:
        pytest.skip("this user may read whatever the mode says")

    assert listed.code == 1
    assert listed.err == f"runner: {folder}: can't be read; its runs are not shown\n"
    assert "2 runs; runner status RUN tells more" in listed.lines


def test_run_whose_folder_was_renamed_is_listed(project: MakeProject) -> None:
    """Its age is that of its files."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.last.path.rename(made.last.path.parent / "kept")

    listed = made.ran("status", "--all")

    assert listed.lines[1].split()[:4] == ["sums/kept", "complete", "just", "now"]


def test_status_of_a_damaged_run_is_one_message(project: MakeProject) -> None:
    """The file and what helps, and exit code 2."""
    made, run = _made(project)
    file = run.path / JOB / "1" / "state.json"
    file.write_bytes(b"{")

    told = made.ran("status", run.name, code=2).err
    _remove(run)

    assert told.startswith(f"runner: {file} is damaged (")
    assert told.endswith(": put it back, or start a new run\n")
