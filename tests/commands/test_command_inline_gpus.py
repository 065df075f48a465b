"""Jobs inside the command share this machine's GPUs with all others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.launch import job_states
from runner.launch.gpus import take_devices
from runner.runs import all_runs
from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject
from tests.launch.launch_kit import ROOT, wait_for


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test GPU locks of its own."""
    folder = tmp_path / "locks"
    monkeypatch.setenv("RUNNER_GPU_LOCKS", str(folder))
    return folder


def test_inline_job_waits_for_its_gpu(
    project: MakeProject, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands never share a GPU, wherever their jobs run."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    made = project({})
    with take_devices(1, [0], locks) as held:
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", "run", "sums.yaml", "engine.gpus=1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        wait_for(lambda: process.poll() is not None or "waiting for a GPU" in _reasons(made))
        reasons = _reasons(made)
        held.release()
        code = process.wait(60)

    assert (reasons, code) == (["waiting for a GPU"], 0)


def _reasons(made: Project) -> list[str]:
    runs = all_runs(made.root / "runs")
    return [state.reason for run in runs for state in job_states(run.path).values()]


def test_inline_job_leaves_the_environment_as_it_was(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one in the same process chooses from all GPUs again."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    project({}).ran("run", "sums.yaml", "engine.gpus=1")

    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "CUDA_DEVICE_ORDER" not in os.environ


def test_inline_job_of_too_many_gpus_is_refused(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    made = project({})

    assert "takes 2 GPUs" in made.ran("run", "sums.yaml", "engine.gpus=2", code=2).err
    assert not (made.root / "runs").exists()
