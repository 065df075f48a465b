"""A run that was made in a process that has ended, and copies of it to damage."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.runs import RunFolder, all_runs
from tests.commands.commands_kit import FILES, Project


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run in a process that has ended: a job inside of this one would seem to go on."""
    root = tmp_path_factory.mktemp("kept")
    for name, text in FILES.items():
        (root / name).write_text(text)
    words = ["run", "sums.yaml", "--runs", str(root / "runs")]
    subprocess.run([sys.executable, "-m", "runner", *words], cwd=root, check=True, capture_output=True)
    return all_runs(root / "runs")[0].path


def copied_run(made: Project, kept: Path) -> RunFolder:
    """Put a fresh copy of the run into a project."""
    run = made.root / "runs" / "sums" / kept.name
    shutil.rmtree(made.root / "runs", ignore_errors=True)
    shutil.copytree(kept, run)
    return RunFolder(run)
