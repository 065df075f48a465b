"""Experiments on a real Slurm, through the command line, from submission to results."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runner.runs import RunFolder
from tests.http_server import HttpServer
from tests.slow.slow_kit import Counting, Project, recorded, results, worker_of
from tests.work.work_kit import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 200
CONCURRENCY = 4
TEMPERATURES = ",".join(str(n / 10) for n in range(12))


def _submit(project: Project, server: HttpServer, *overrides: str) -> RunFolder:
    """Submit an experiment of one point."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY))
    project.command("run", "exp.yaml", "cluster=slurm", *overrides)
    return project.last


def _reach(counting: Counting, count: int) -> None:
    """Let so many requests be answered; those that follow stay in flight until the server is opened."""
    counting.wait_total(count)
    counting.shut()


def _scontrol(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True)


def _node(job: str) -> str:
    """Return the node that a job runs on."""
    told = subprocess.run(["squeue", "-h", "-o", "%N", "-j", job], check=True, capture_output=True, text=True)
    return told.stdout.strip()


def _complete(project: Project, run: RunFolder) -> dict[str, Any]:
    status = project.settle(run, lambda s: s["state"] not in {"pending", "running"})
    assert (status["state"], status["exit_code"]) == ("complete", 0), status
    assert [line["slots"]["answer"] for line in results(run)] == [f"question {n}" for n in range(ROWS)]
    return status


def _ended(status: dict[str, Any]) -> bool:
    return status["state"] not in {"pending", "running"}


def _resume(project: Project, run: RunFolder, server: HttpServer, counting: Counting) -> None:
    """Resume a run that was cut short, and see it complete for the price of what was in flight."""
    server.wait_until(lambda s: s.open == 0)
    safe = recorded(run)
    lost = counting.total - safe.total()
    printed = project.command("resume", run.path)
    _complete(project, run)

    assert f"{ROWS - safe.total()} of {ROWS} results missing" in printed
    assert lost <= CONCURRENCY
    assert counting.total == ROWS + lost
    assert {counting.asked[text] for text in safe} == {1}


def _device(pid: int) -> tuple[str, str]:
    """Return the node and the GPU of a worker."""
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    env = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return env["SLURMD_NODENAME"], env["CUDA_VISIBLE_DEVICES"]


def test_twelve_points_are_worked_on_ten_gpus(
    on_slurm: Project, server: HttpServer, counting: Counting
) -> None:
    """Submitted and left: ten work on distinct devices while two wait, and all end complete."""
    counting.shut()
    on_slurm.rows(3)
    on_slurm.experiment(engine=served(server.url("/v1"), concurrency=1))
    sweep = ["-m", f"sampling.temperature={TEMPERATURES}"]
    printed = on_slurm.command(
        "run", "exp.yaml", "cluster=slurm", "cluster.max_jobs=12", "cluster.gpus=1", *sweep
    )
    run = on_slurm.last
    counting.wait_total(10)
    under_way = on_slurm.status(run)
    working = [number for number, job in enumerate(under_way["jobs"]) if job["state"] == "running"]
    devices = {_device(worker_of(run, number)) for number in working}
    counting.open()
    final = on_slurm.settle(run, _ended)

    assert all(
        f"runner {verb} exp/{run.path.name}" in printed for verb in ("status", "logs", "cancel", "resume")
    )
    assert (under_way["state"], under_way["exit_code"]) == ("running", 0)
    assert Counter(job["state"] for job in under_way["jobs"]) == {"running": 10, "pending": 2}
    assert len(devices) == 10
    assert (final["state"], final["exit_code"]) == ("complete", 0)
    assert [point["ok"] for point in final["points"]] == [3] * 12
    assert counting.total == 36


def test_waiting_run_shows_its_results(on_slurm: Project) -> None:
    """With --wait the command ends with the table; a fake engine that claims a GPU has one."""
    on_slurm.rows(5)
    on_slurm.experiment(
        engine={"kind": "fake", "gpus": 1, "latency": 0.1},
        cluster={"kind": "slurm", "setup": ["echo device=$CUDA_VISIBLE_DEVICES >> devices.txt"]},
    )
    printed = on_slurm.command(
        "run", "exp.yaml", "-m", "sampling.temperature=0,1", "cluster.max_jobs=2", "--wait"
    )

    assert "complete: 10 requests" in printed
    devices = (on_slurm.folder / "devices.txt").read_text().splitlines()
    assert [line.removeprefix("device=").isdigit() for line in devices] == [True, True]
    assert "100 % cached, 0 requests" in on_slurm.command("run", "exp.yaml", "sampling.temperature=1")


@pytest.mark.parametrize("on_slurm", ["slurm", "accounted_slurm"], indirect=True)
def test_worker_killed_with_9_is_resumed(on_slurm: Project, server: HttpServer, counting: Counting) -> None:
    """The state is failed, with and without sacct, and a resume asks what is missing."""
    run = _submit(on_slurm, server)
    _reach(counting, 60)
    os.kill(worker_of(run), signal.SIGKILL)
    failed = on_slurm.settle(run, _ended)
    counting.open()

    assert (failed["state"], failed["exit_code"], failed["jobs"][0]["state"]) == ("failed", 1, "failed")
    _resume(on_slurm, run, server, counting)


def test_requeued_job_goes_on_where_it_was(on_slurm: Project, server: HttpServer, counting: Counting) -> None:
    """The second attempt asks nothing that the first has recorded."""
    run = _submit(on_slurm, server)
    _reach(counting, 60)
    _scontrol("requeue", on_slurm.status(run)["jobs"][0]["slurm"])
    on_slurm.settle(run, lambda s: s["state"] == "pending")
    counting.open()
    _complete(on_slurm, run)

    assert (run.jobs[0] / "2").is_dir()
    assert counting.total <= ROWS + CONCURRENCY
    assert max(counting.asked.values()) <= 2


def test_run_goes_on_when_its_node_fails(on_slurm: Project, server: HttpServer, counting: Counting) -> None:
    """Slurm starts the job again where there is room, and nothing is asked that is recorded."""
    run = _submit(on_slurm, server)
    _reach(counting, 60)
    job = on_slurm.status(run)["jobs"][0]["slurm"]
    node = _node(job)
    worker = worker_of(run)
    try:
        _scontrol("update", f"NodeName={node}", "State=DOWN", "Reason=test")
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)  # what a node takes along when it fails
        on_slurm.settle(run, lambda _: (run.jobs[0] / "2").is_dir())
        counting.open()
        _complete(on_slurm, run)
    finally:
        # Refused where its slurmd has brought it back by itself.
        subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False)

    assert counting.total <= ROWS + CONCURRENCY
    assert max(counting.asked.values()) <= 2


def test_run_at_its_time_limit_is_resumed(on_slurm: Project, server: HttpServer, counting: Counting) -> None:
    """The job says timeout, the run incomplete, also where requests hang until the job is killed."""
    run = _submit(on_slurm, server)
    _reach(counting, 60)
    _scontrol("update", f"JobId={on_slurm.status(run)['jobs'][0]['slurm']}", "EndTime=now+1")
    ended = on_slurm.settle(run, _ended)
    counting.open()

    assert (ended["state"], ended["exit_code"], ended["jobs"][0]["state"]) == ("incomplete", 3, "timeout")
    _resume(on_slurm, run, server, counting)


def test_cancelled_run_is_resumed(on_slurm: Project, server: HttpServer, counting: Counting) -> None:
    """What was answered before the cancellation is kept."""
    run = _submit(on_slurm, server)
    _reach(counting, 60)
    on_slurm.command("cancel", run.path)
    counting.open()
    ended = on_slurm.settle(run, _ended)

    assert (ended["state"], ended["exit_code"], ended["jobs"][0]["state"]) == ("cancelled", 1, "cancelled")
    _resume(on_slurm, run, server, counting)


def test_edits_after_submission_change_nothing(
    on_slurm: Project, server: HttpServer, counting: Counting
) -> None:
    """Template, YAML and data are edited while the job waits; it runs as submitted, requeued too."""
    templates = on_slurm.folder / "templates" / "asking"
    templates.mkdir(parents=True)
    (templates / "user.j2").write_text("as submitted: {{ row.q }}")
    on_slurm.rows(ROWS)
    keys: dict[str, Any] = {"engine": served(server.url("/v1"), concurrency=CONCURRENCY), "prompt": "asking"}
    cluster = {"kind": "slurm", "sbatch": {"hold": True}}
    on_slurm.experiment(**keys, cluster=cluster)
    on_slurm.command("run", "exp.yaml", "sampling.temperature=0.5")
    run = on_slurm.last
    (templates / "user.j2").write_text("edited: {{ row.q }}")
    on_slurm.rows(ROWS, "edited question {}".format)
    on_slurm.experiment(engine=keys["engine"], prompt="edited {{ row.q }}", sampling={"temperature": 1})
    slurm_id = on_slurm.status(run)["jobs"][0]["slurm"]
    _scontrol("release", slurm_id)
    _reach(counting, 60)
    _scontrol("requeue", slurm_id)
    on_slurm.settle(run, lambda s: s["state"] == "pending")
    counting.open()
    on_slurm.settle(run, _ended)

    assert (run.jobs[0] / "2").is_dir()
    assert set(counting.asked) == {f"as submitted: question {n}" for n in range(ROWS)}
    assert {received.json()["temperature"] for received in server.received} == {0.5}


def test_key_printed_by_a_setup_line_that_fails_is_masked(on_slurm: Project) -> None:
    """No worker starts that would mask it: the command that shows the run's end does."""
    secret = "sk-setup-0123456789abcdef"
    on_slurm.rows(3)
    setup = ["echo the key is $SERVICE_KEY >&2", "exit 1"]
    on_slurm.experiment(cluster={"kind": "slurm", "setup": setup})
    printed = on_slurm.command("run", "exp.yaml", "--wait", code=1, SERVICE_KEY=secret)
    logs = [path.read_text() for path in on_slurm.last.path.glob("submitit/*_log.err")]

    assert f"the key is {'*' * len(secret)}\n" in "".join(logs)
    assert secret not in printed + "".join(logs)
