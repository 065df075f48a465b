"""Commands whose output nobody reads, or of whom only the first lines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.commands.conftest import MakeProject
from tests.launch.launch_kit import ROOT


def _unread(*words: str) -> int:
    """Return the exit code of a command whose output and errors go to a reader that has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "runner", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        return subprocess.run(command, stdout=writer, stderr=writer, env=env, check=False).returncode
    finally:
        os.close(writer)


@pytest.mark.parametrize("cluster", ["inline", "local"])
def test_run_goes_on_without_its_reader(project: MakeProject, cluster: str) -> None:
    """``runner run FILE | head -1`` asks every row."""
    made = project({})
    code = _unread("run", "sums.yaml", f"cluster={cluster}")

    assert code == 0
    assert made.ran("status", "--json").json["points"][0]["ok"] == 6


def test_failure_is_told_by_the_exit_code_alone(project: MakeProject) -> None:
    """Nobody reads why, but 0 would say that all is well."""
    project({})
    failing = ("engine.error=authentication", "engine.error_rate=1")

    assert _unread("run", "sums.yaml", *failing) == 1
    assert _unread("run", "sms.yaml") == 2


def test_stream_of_rows_ends_with_its_reader(project: MakeProject) -> None:
    """Whoever looks at the first of many rows doesn't wait for the last."""
    project({})

    assert _unread("render", "sums.yaml") == 0
