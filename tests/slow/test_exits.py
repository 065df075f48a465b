"""A command that is done ends, and ends well, however often."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.http_server import HttpServer
from tests.slow.slow_kit import Project
from tests.work.work_kit import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TIMES = 100
PINNED = """
import os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from runner.cli import main
sys.exit(main(["run", "exp.yaml"]))
"""


def test_a_hundred_runs_of_a_hundred_exit_0_on_one_core(project: Project, server: HttpServer) -> None:
    """Threads and connections that outlive the interpreter would abort some of them."""
    project.rows(4)
    engine = served(server.url("/v1"))
    project.experiment(engine=engine, cluster={"kind": "inline"}, cache=False)
    command = [sys.executable, "-W", "error", "-c", PINNED]
    for _ in range(TIMES):
        done = subprocess.run(
            command,
            cwd=project.folder,
            env={**os.environ, **project.env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
