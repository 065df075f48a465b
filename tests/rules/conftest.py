"""What every test of the rules starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.rules_kit import KEYS


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has keys, and no options of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    for name in KEYS:
        monkeypatch.setenv(f"{name}_API_KEY", "sk-0123456789")
