"""Workers are real processes: what a test leaves behind is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.launch.worker_lock import LOCK_FILE, find_holder
from tests.launch.launch_kit import ROOT


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test GPU locks of its own, and its workers the tests to import."""
    monkeypatch.setenv("RUNNER_GPU_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture(autouse=True)
def no_survivors(tmp_path: Path) -> Iterator[None]:
    """Kill local workers that a test left running."""
    yield
    for lock in tmp_path.glob(f"**/jobs/*/{LOCK_FILE}"):
        if worker := find_holder(lock.parent):
            os.killpg(worker.pid, signal.SIGKILL)
