"""Jobs that start a real vLLM or SGLang: what becomes of the server when a job ends in one way or another."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contract.environments import engine_python
from tests.contract.subjects import SETTINGS, TINY
from tests.slow.slow_kit import Project, Started, recorded, results, worker_of

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(900)]

START_SECONDS = 240.0
ROWS = 2000
_CHILDREN = {"vllm": "VLLM::", "sglang": "sglang::"}
"""How the processes that a server starts call themselves."""
_REFUSED = {"vllm": "max-model-len=99999999", "sglang": "no-such-flag=1"}
"""What each refuses to be started with."""


@pytest.fixture(params=["vllm", "sglang"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each of the servers that are Python packages."""
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, kind: str) -> Project:
    """Yield a project whose experiment asks a server of its own, for a while."""
    made = Project(tmp_path, {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")})
    (tmp_path / "conf").mkdir()
    rows = ({"id": str(n), "q": f"{n}. What is 37+48?", "a": "85"} for n in range(ROWS))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made.experiment(
        model=str(TINY),
        engine={"kind": kind, "python": str(engine_python(kind)), "concurrency": 8, **SETTINGS[kind]},
        sampling={"temperature": 0, "max_tokens": 8},
    )
    return made


def family(project: Project) -> list[psutil.Process]:
    """Return every process below the job's worker: the server's guard, the server, its children."""
    return psutil.Process(worker_of(project.last)).children(recursive=True)


def _answering(status: dict[str, Any]) -> bool:
    return bool((status["jobs"][0]["progress"] or {}).get("requests"))


def started(project: Project) -> tuple[Started, list[psutil.Process]]:
    """Run the experiment until its server answers; return the command, and the server's processes."""
    command = project.start("run", "exp.yaml")
    while not list(project.folder.glob("runs/exp/*/resolved.json")):
        assert command.process.poll() is None, command.printed
    project.settle(
        project.last,
        lambda status: (status["jobs"][0]["progress"] or {}).get("requests", 0) > 0,
        START_SECONDS,
    )
    found = family(project)
    assert any("serve" in " ".join(process.cmdline()) for process in found)
    return command, found


def _kill_worker(project: Project) -> None:
    os.kill(worker_of(project.last), signal.SIGKILL)


def _cancel(project: Project) -> None:
    project.command("cancel", "last")


@pytest.mark.parametrize("end", [_kill_worker, _cancel], ids=["killed", "cancelled"])
def test_server_is_gone_with_its_job(project: Project, end: Callable[[Project], None]) -> None:
    """No process of the server is left, and what was answered is on disk."""
    command, processes = started(project)
    end(project)
    _, alive = psutil.wait_procs(processes, timeout=60)

    assert not alive
    assert command.wait() == 1
    assert (project.last.jobs[0] / "1" / "server-0.log").stat().st_size > 0


def test_dead_server_ends_its_job_with_its_last_words(project: Project, kind: str) -> None:
    """The job fails at once rather than trying again for minutes; resume completes it with a new server."""
    command, processes = started(project)
    engine = [process for process in processes if process.name().startswith(_CHILDREN[kind])]
    assert engine
    for process in engine:
        process.kill()

    assert command.wait() == 1
    (job,) = project.status(project.last)["jobs"]
    assert job["state"] == "failed"
    assert f"{kind} " in job["reason"]
    assert "server-0.log" in job["reason"]
    before = recorded(project.last).total()

    assert project.start("resume", "last").wait(2 * START_SECONDS) == 0
    lines = results(project.last)
    assert len({line["id"] for line in lines if line.get("error") is None}) == ROWS
    again = recorded(project.last).total() - before
    assert 0 < again < ROWS
    assert (project.last.jobs[0] / "2" / "server-0.log").stat().st_size > 0


def test_server_that_cannot_start_says_why(project: Project, kind: str) -> None:
    """The engine's own complaint is in the error, with the log that holds the rest."""
    printed = project.command("run", "exp.yaml", f"engine.args.{_REFUSED[kind]}", code=1)

    assert "EngineStartError" in printed or "ServerExitedError" in printed
    assert _REFUSED[kind].partition("=")[0] in printed.replace("_", "-")
    assert "server-0.log" in printed
