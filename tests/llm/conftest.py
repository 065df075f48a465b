"""A project of its own for each test, and a server that counts what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http_server import HttpServer
from tests.work.work_kit import CHAT, Echo, Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An empty project, which is the current folder."""
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    folder = tmp_path / "lab"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Lab(folder)


@pytest.fixture
def echo() -> Echo:
    """An endpoint that repeats the last message."""
    return Echo()


@pytest.fixture
def url(echo: Echo) -> Iterator[str]:
    """Base URL of a server with the `echo` endpoint."""
    with HttpServer({CHAT: echo}) as server:
        yield server.url("/v1")
