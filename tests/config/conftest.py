"""What every test of the config starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.config_kit import Project, made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that is also the working folder, and a user who has no options of their own."""
    root = tmp_path / "project"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    built = made(root)
    monkeypatch.chdir(root)
    return built
