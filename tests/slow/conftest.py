"""A project folder, a counting server, and nothing left running afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.http_server import HttpServer
from tests.slow.slow_kit import ROOT, Counting, Project
from tests.slurm.conftest import (
    accounted_slurm,
    cluster_with_accounting,
    cluster_without_accounting,
    slurm,
)
from tests.work.work_kit import CHAT

__all__ = ["accounted_slurm", "cluster_with_accounting", "cluster_without_accounting", "slurm"]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Yield an empty project; what its commands left running is killed."""
    folder = tmp_path / "project"
    folder.mkdir()
    hidden = {"RUNNER_RUNS", "CUDA_VISIBLE_DEVICES", "SLURM_CONF"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(tmp_path / "nobody"),
        "RUNNER_GPU_LOCKS": str(tmp_path / "locks"),
        "COLUMNS": "200",
    }
    yield Project(folder, env)
    for process in psutil.process_iter(["cmdline"]):
        if str(folder) in " ".join(process.info["cmdline"] or ()):
            process.kill()


@pytest.fixture
def on_slurm(project: Project, request: pytest.FixtureRequest) -> Project:
    """The project on a cluster: without accounting, or with the one that a parameter names."""
    request.getfixturevalue(getattr(request, "param", "slurm"))
    return replace(project, env={**project.env, "SLURM_CONF": os.environ["SLURM_CONF"]})


@pytest.fixture
def counting() -> Counting:
    """An endpoint that takes a moment for each answer."""
    return Counting((0.002, 0.02))


@pytest.fixture
def server(counting: Counting) -> Iterator[HttpServer]:
    """A server of the `counting` endpoint."""
    with HttpServer({CHAT: counting}) as running:
        yield running
