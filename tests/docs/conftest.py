"""A reader's project, apart from the user's own folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.docs_kit import make_project
from tests.docs.walk_kit import Shell, install


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Path) -> Path:
    """Return the project of one page, with its keys set; it is the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-real-key")
    monkeypatch.setenv("MY_KEY", "not-a-real-key")
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    root = make_project(tmp_path / "project", page)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment that the wheel is installed in."""
    return install(tmp_path_factory.mktemp("installed") / "venv")


@pytest.fixture
def shell(installed: Path, tmp_path: Path) -> Shell:
    """Return the shell of a new user, in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Shell(installed, folder)
