"""A worker's last word counts, even one that comes while the states are being looked at."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from runner.launch import job_states, launch
from runner.launch.attempts import State, begin_attempt, write_state
from runner.launch.submission import Submission, write_submission
from runner.spec import LocalCluster
from tests.launch.launch_kit import make_run, requests, settle
from tests.launch.launch_worker import work

_SQUEUE = """#!{python}
import os, time
from pathlib import Path
Path("{jobs}/go").touch()
state = Path("{jobs}/local/1/state.json")
while b'"complete"' not in state.read_bytes() or not {gone}:
    time.sleep(0.01)
os.replace("{jobs}/slurm/after.json", "{jobs}/slurm/1/state.json")
print("7|COMPLETED|n1|None")
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with a job here and one in Slurm, both of which end while Slurm is asked how they stand."""
    run = make_run(tmp_path, {"local": {}, "slurm": {}})
    launch(run, [one for one in requests(run) if one.name == "local"], LocalCluster(), work)
    worker = settle(run, lambda s: s["local"].reason == "asking")["local"].process
    assert worker is not None
    folder = run / "jobs" / "slurm"
    write_submission(folder, Submission(kind="slurm", id="7", submitted=time.time(), first_attempt=1))
    attempt, state = begin_attempt(folder), State.begin()
    write_state(attempt, state.end("complete", 0))
    (attempt.path / "state.json").rename(folder / "after.json")
    write_state(attempt, state)
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    gone = f"open('/proc/{worker.pid}/stat').read().rpartition(')')[2].split()[0] == 'Z'"
    squeue.write_text(_SQUEUE.format(python=sys.executable, jobs=run / "jobs", gone=gone))
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    return run


def test_last_word_that_comes_meanwhile_counts(run: Path) -> None:
    """Neither job is called dead for having ended after its files were read."""
    states = job_states(run)

    assert {name: state.state for name, state in states.items()} == {"local": "complete", "slurm": "complete"}
