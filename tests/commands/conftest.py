"""What every test of the command line starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from runner.launch import cancel
from runner.runs import all_runs
from tests.commands.commands_kit import Project

MakeProject = Callable[[Mapping[str, str]], Project]


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[MakeProject]:
    """Make a project of files that is also the working folder; no job outlives the test."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    monkeypatch.chdir(root)
    yield lambda files: Project(root, files, capsys)
    for run in all_runs(root / "runs"):
        cancel(run.path)
