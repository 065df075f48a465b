"""Commands that stop, or are stopped, while their jobs are in Slurm."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.launch import cancel, job_states, launch
from runner.spec import SlurmCluster
from tests.commands.conftest import MakeProject, project
from tests.launch.launch_kit import ROOT, count, ended, make_run, requests, settle, wait_for
from tests.launch.launch_worker import work

__all__ = ["project"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]

_SUBMIT = (
    "import sys; from pathlib import Path; from tests.launch import launch_kit, launch_worker;"
    "from runner.launch import launch; from runner.spec import SlurmCluster; run = Path(sys.argv[1]);"
    "launch(run, launch_kit.requests(run), SlurmCluster(), launch_worker.work)"
)


def _killed_submission(tmp_path: Path, jobs: int) -> Path:
    """Return a run whose submitter was killed the moment that sbatch had done its work."""
    run = make_run(tmp_path, {f"j{number}": {} for number in range(jobs)})
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@" && kill -9 $PPID\n')
    sbatch.chmod(0o755)
    env = {**os.environ, "PATH": f"{sbatch.parent}:{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-c", _SUBMIT, str(run)], env=env, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    return run


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_of_a_killed_submitter_are_found(tmp_path: Path, jobs: int) -> None:
    """No file names them, yet they are known and can be stopped; a new submission then speaks for itself."""
    run = _killed_submission(tmp_path, jobs)
    found = job_states(run)
    stopped = cancel(run)
    states = settle(run, ended)
    (run / "jobs" / "go").touch()
    launch(run, requests(run), SlurmCluster(), work)
    final = settle(run, ended)

    assert all(state.active and state.slurm for state in found.values())
    assert len({state.slurm for state in found.values()}) == len(stopped) == jobs
    assert count(states, "complete") == 0
    assert count(final, "complete") == jobs


def test_ctrl_c_leaves_slurm_jobs_running(project: MakeProject) -> None:
    """A command that waits is only looking on: the message says how to follow and how to stop."""
    made = project({})
    words = ["run", "sums.yaml", "cluster=slurm", "engine.latency=60", "--wait"]
    with subprocess.Popen(
        [sys.executable, "-m", "runner", *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_for(lambda: any(made.root.glob("runs/sums/*/jobs/*/1/state.json")))
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]
    run = made.last

    assert process.returncode == 130, said
    assert f"1 Slurm job\n    follow: runner status {run.name} --watch" in said
    assert f"    stop: runner cancel {run.name}" in said
    assert job_states(run.path)["0-parrot"].state == "running"


def test_refused_submission_says_how_to_go_on(project: MakeProject) -> None:
    """What to type next about jobs is not printed where there are none."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "cluster=slurm", "cluster.partition=nowhere", code=2)

    assert "sbatch refused the jobs:" in outcome.err
    assert (
        f"no job was started; the run is kept, to go on with: runner resume {made.last.name}" in outcome.err
    )
    assert not any(line.startswith("  runner ") for line in outcome.lines)
    assert job_states(made.last.path)["0-parrot"].state == "not_submitted"
