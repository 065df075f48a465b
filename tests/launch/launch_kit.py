"""Runs made of tiny jobs, and waiting for what they come to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.launch import JobRequest, JobState, job_states

ROOT = Path(__file__).parents[2]


def make_run(tmp_path: Path, jobs: Mapping[str, Mapping[str, object]]) -> Path:
    """Return a run folder that holds *jobs*."""
    run = tmp_path / "runs" / "tiny" / "20260101T000000-abcd"
    for name, job in jobs.items():
        folder = run / "jobs" / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps(job))
    return run


def requests(run: Path) -> list[JobRequest]:
    """Return a request for every job of a run."""
    return [
        JobRequest(path.parent.name, path.parent, json.loads(path.read_text()).get("devices", 0))
        for path in sorted(run.glob("jobs/*/job.json"))
    ]


_SUBMITTER = """
import os, signal, sys
from pathlib import Path
from runner.launch import cancel, launch
from runner.spec import LocalCluster, SlurmCluster
from tests.launch import launch_kit, launch_worker

cluster, run, file, act = sys.argv[1:]

def hook(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(file):
        eval(act)

sys.addaudithook(hook)
clusters = {"local": LocalCluster, "slurm": SlurmCluster}
launch(Path(run), launch_kit.requests(Path(run)), clusters[cluster](), launch_worker.work)
"""


def submit_and(act: str, run: Path, cluster: str, file: str) -> int:
    """Launch a run's jobs in a process that acts as soon as it is about to write *file*; return its code."""
    words = [sys.executable, "-c", _SUBMITTER, cluster, str(run), file, act]
    return subprocess.run(words, cwd=ROOT, check=False).returncode


def submit_and_die(run: Path, cluster: str, file: str) -> None:
    """Launch a run's jobs in a process that kills itself with -9 as soon as it is about to write *file*."""
    assert submit_and("os.kill(os.getpid(), signal.SIGKILL)", run, cluster, file) == -signal.SIGKILL


def wait_for(ready: Callable[[], bool], seconds: float = 30) -> None:
    """Return once *ready*; fail when that takes too long."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.02)


def settle(
    run: Path, ready: Callable[[Mapping[str, JobState]], bool], seconds: float = 60
) -> dict[str, JobState]:
    """Return the states of a run's jobs once they are *ready*; fail with them when that takes too long."""
    deadline = time.monotonic() + seconds
    while not ready(states := job_states(run)):
        assert time.monotonic() < deadline, states
        time.sleep(0.1)
    return states


def ended(states: Mapping[str, JobState]) -> bool:
    """Tell whether no job will go on."""
    return not any(state.active for state in states.values())


def count(states: Mapping[str, JobState], word: str) -> int:
    """Return how many jobs are in one state."""
    return sum(state.state == word for state in states.values())
