"""Disks that are full: one message, nothing half-made, and a run goes on once there is room."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject
from tests.filesystems import PAGE, disk, resize

ROOM = 400
"""Pages in which whatever a test does has room."""
WHY = "No space left on device"


def _run(made: Project) -> Outcome:
    """Run in a process of its own: a job that can't say how it ended is over when its process is."""
    words = [sys.executable, "-m", "runner", "run", "sums.yaml", "--runs", "small/runs"]
    done = subprocess.run(words, cwd=made.root, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def _check_finished(made: Project) -> None:
    """Check that a resume completes the run, and that it is shown so."""
    made.ran("resume", "last", "--runs", "small/runs")
    listed = made.ran("status", "--all", "--runs", "small/runs")
    assert [line.split()[1] for line in listed.lines[1:-1]] == ["complete"]


def test_run_on_a_full_disk_is_one_message(project: MakeProject) -> None:
    """What could not be made, where, why and what helps; and nothing of it is left."""
    made = project({})
    full = made.root / "full"
    with disk(full, pages=1):
        (full / "filler").write_bytes(b"-" * PAGE)
        told = made.ran("run", "sums.yaml", "--runs", "full/runs", code=2)
        left = list((full / "runs").iterdir())

    assert told.err.startswith(f"runner: the run's folder {full}/runs/sums/")
    assert told.err.endswith(f" can't be made: {WHY} (--runs or RUNNER_RUNS names another place)\n")
    assert told.out == ""
    assert left == []


@pytest.mark.parametrize("pages", [6, 7, 9, 10, 12])
def test_disk_that_fills_up_later_loses_nothing(project: MakeProject, pages: int) -> None:
    """Before the job, in it, or after it: it is said what can't be written, and a resume finishes the run."""
    made = project({})
    small = made.root / "small"
    with disk(small, pages):
        outcome = _run(made)
        resize(small, ROOM)
        _check_finished(made)

    said = outcome.out + outcome.err
    assert outcome.code == 1
    assert "Traceback" not in said
    assert "runner resume " in said or "runner status " in said
    assert WHY in said or "disk is full" in said


def test_results_that_have_no_room_are_made_later(project: MakeProject) -> None:
    """The run is not damaged: its answers are recorded, which every command says until there is room."""
    made = project({})
    small = made.root / "small"
    with disk(small, pages=16):
        outcome = _run(made)
        (run,) = (small / "runs").glob("*/*")
        shown = made.ran("status", str(run), code=1)
        listed = made.ran("status", "--all", "--runs", "small/runs", code=1)
        read = made.ran("status", "--all", "--runs", "small/runs", "--json", code=1).json
        resize(small, ROOM)
        complete = made.ran("status", str(run))

    name = f"sums/{run.name}"
    full = f"{run}/points/0/cache.sqlite can't be used: database or disk is full"
    told = (
        f"the answers of {name} could not be made into results: {full}",
        f"none is lost: they are in {run}/jobs/*/*/records.jsonl; fix that, then: runner status {run}",
    )
    assert outcome.code == 1
    assert outcome.err.endswith(f"runner: {told[0]}\n    {told[1]}\n")
    assert shown.err == f"runner: {told[0]}\n    {told[1]}\n"
    assert listed.lines[1].split()[:2] == [f"small/runs/{name}", "unfolded"]
    assert f"unfolded: {name}: {told[0]}; {told[1]}" in listed.lines
    assert [(one["state"], one["error"]) for one in read] == [("unfolded", f"{told[0]}; {told[1]}")]
    assert complete.lines[0].startswith(f"{name}  complete")


def test_rescore_without_room_leaves_nothing(project: MakeProject) -> None:
    """The scores can't be written, and no draft of them stays."""
    made = project({})
    small = made.root / "small"
    with disk(small, ROOM):
        made.ran("run", "sums.yaml", "--runs", "small/runs")
        (run,) = (small / "runs").glob("*/*")
        taken = sum(-(-path.stat().st_size // PAGE) for path in small.rglob("*") if path.is_file())
        resize(small, taken + 2)
        told = made.run("rescore", str(run))
        left = list((run / "rescored").iterdir())

    assert told.code != 0
    assert told.err.startswith(f"runner: {run}/rescored/")
    assert told.err.count("\n") == 1
    assert left == []
