"""Processes that a worker starts itself end with it, in whatever way it ends."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from runner.servers import Watch

ROOT = Path(__file__).resolve().parents[2]
SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
WORKER = """
import subprocess, sys
from runner.servers import Watch
lock = open(sys.argv[1])
import fcntl
fcntl.flock(lock, fcntl.LOCK_EX)
with Watch([lock.fileno()]) as watch:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    watch.settle()
    print(child.pid, flush=True)
    input()
"""


def test_leaving_ends_what_was_started_since_entering() -> None:
    """Not what ran before, and not what was started after all was there."""
    before = subprocess.Popen(SLEEPS)
    with Watch() as watch:
        during = subprocess.Popen(SLEEPS)
        watch.settle()
        after = subprocess.Popen(SLEEPS)

    assert during.wait(timeout=30) < 0
    assert before.poll() is None
    assert after.poll() is None
    for process in (before, after):
        process.kill()
        process.wait()


@pytest.mark.parametrize("way", ["killed", "closed"])
def test_worker_that_ends_takes_its_processes_with_it(way: str, tmp_path: Path) -> None:
    """Killed or at its own end; the lock that was held for them is free only then."""
    lock = tmp_path / "lock"
    lock.touch()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORKER, str(lock)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        child = psutil.Process(int(worker.stdout.readline()))
        if way == "killed":
            worker.kill()
        else:
            worker.stdin.write(b"\n")
            worker.stdin.close()
        with lock.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
