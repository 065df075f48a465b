from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from runner.launch import cancel, job_states, launch
from runner.launch.slurm_answer import ask_slurm, read_sacct
from runner.spec import SlurmCluster
from tests.launch.launch_kit import count, ended, make_run, requests, settle
from tests.launch.launch_worker import work


@pytest.mark.slow
@pytest.mark.usefixtures("accounted_slurm")
def test_states_agree_with_accounting(tmp_path: Path) -> None:
    """Complete, killed and cancelled jobs are told apart on a cluster that keeps accounts, too."""
    run = make_run(tmp_path, {"a": {}, "b": {}, "c": {}})
    launch(run, requests(run), SlurmCluster(), work)
    states = settle(run, lambda s: all(job.reason == "asking" for job in s.values()))
    record = states["b"].record
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    cancel(run, ["c"])
    settle(run, lambda s: count(s, "cancelled") == count(s, "failed") == 1)
    (run / "jobs" / "go").touch()
    final = settle(run, ended)
    answers = ask_slurm([str(state.slurm) for state in final.values()])

    assert [final[name].state for name in "abc"] == ["complete", "failed", "cancelled"]
    assert {job.state for job in answers.values()} == {"COMPLETED", "FAILED", "CANCELLED"}
    assert job_states(run) == final


def test_step_out_of_memory_speaks_for_its_job() -> None:
    """Slurm calls the job merely FAILED when srun's step ran out of memory."""
    lines = [
        "7_0|FAILED|1:0|n1",
        "7_0.batch|FAILED|1:0|n1",
        "7_0.0|OUT_OF_MEMORY|0:125|n1",
        "7_1|COMPLETED|0:0|n2",
    ]

    assert {job.id: job.state for job in read_sacct(lines).values()} == {
        "7_0": "OUT_OF_MEMORY",
        "7_1": "COMPLETED",
    }


def test_waiting_array_tasks_are_left_to_squeue() -> None:
    """Sacct lists them as one range."""
    jobs = read_sacct(["7_[3-9]|PENDING|0:0|None assigned", "7_2|CANCELLED by 0|0:15|n1"])

    assert [(job.id, job.state, job.reason) for job in jobs.values()] == [
        ("7_2", "CANCELLED", "exit code 0:15")
    ]
