"""A runs folder that may only be read: what reads works, what would write says why it can't."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING
from tests.filesystems import read_only

READING = {
    "status": ("status", "last"),
    "status --json": ("status", "last", "--json"),
    "status --all": ("status", "--all"),
    "status --watch": ("status", "last", "--watch"),
    "logs": ("logs", "last"),
    "cancel": ("cancel", "last"),
    "cache stats": ("cache", "stats"),
    "cache explain": ("cache", "explain", "sums.yaml"),
    "plan": ("plan", "sums.yaml"),
    "render": ("render", "sums.yaml"),
    "doctor": ("doctor",),
}


def test_commands_that_read_need_not_write(project: MakeProject) -> None:
    """They show what they show of the same folder where it may be written."""
    made = project({})
    made.ran("run", "sums.yaml")
    before = {name: made.run(*words) for name, words in READING.items()}
    with read_only(made.root / "runs"):
        found = {name: made.run(*words) for name, words in READING.items()}

    assert {name: one.code for name, one in found.items()} == dict.fromkeys(READING, 0)
    assert found == before


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("resume", "last"), ".launch.lock"),
        (("rescore", "last"), ".lock"),
        (("cancel", "last", "0"), "points/0/cancelled"),
    ],
)
def test_commands_that_write_say_what_and_why(
    project: MakeProject, words: tuple[str, ...], file: str
) -> None:
    """One message, no traceback."""
    made = project({})
    made.ran("run", "sums.yaml", *FAILING, code=3)
    path = made.last.path / file
    with read_only(made.root / "runs"):
        told = made.ran(*words, code=1)

    assert told.err == f"runner: {path} can't be written: Read-only file system\n"


def test_run_in_a_folder_that_may_only_be_read(project: MakeProject) -> None:
    """It names the folder, and how to choose another."""
    made = project({})
    made.ran("run", "sums.yaml")
    with read_only(made.root / "runs"):
        told = made.ran("run", "sums.yaml", code=2)

    assert " can't be made: Read-only file system (--runs or RUNNER_RUNS" in told.err


def test_agreement_is_shown_of_a_run_that_may_only_be_read(project: MakeProject) -> None:
    """It is counted anew where nobody has looked since the last answers, and kept nowhere."""
    made = project({})
    engines = "{kind: fake},{kind: fake, latency: 0.001}"
    words = ["parity", "sums.yaml", "--engines", engines, "cluster=inline"]
    subprocess.run([sys.executable, "-m", "runner", *words], cwd=made.root, check=True, capture_output=True)
    file = made.last.path / "parity.json"
    before = made.ran("status").out
    file.write_text(file.read_text().replace('"seen": {', '"seen": {"none": 0, ', 1))
    with read_only(made.root / "runs"):
        found = made.ran("status").out

    assert "first divergence" in found
    assert found == before
