"""A worker whose run folder or records are gone stops: no answer could be kept any more."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.outcome import run_outcome
from runner.runs import RunFolder
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import CHAT, Echo, Lab, served, sums

ROWS = 20_000
WORK = "import sys; from runner.work import run_job; sys.exit(run_job(sys.argv[1], redirect=False))"

Loss = Callable[[RunFolder, Path], object]


def _replace(log: Path) -> None:
    copy = log.with_name("copy")
    shutil.copy(log, copy)
    copy.replace(log)


def _make_anew(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


LOSSES: dict[str, Loss] = {
    "run folder deleted": lambda run, _: shutil.rmtree(run.path),
    "run folder renamed": lambda run, _: run.path.rename(run.path.with_name("kept")),
    "folder of all runs renamed": lambda run, _: run.runs.rename(run.runs.with_name("kept")),
    "attempt renamed": lambda _, log: log.parent.rename(log.parent.with_name("old")),
    "records unlinked": lambda _, log: log.unlink(),
    "records renamed": lambda _, log: log.rename(log.with_name("records.old")),
    "records replaced": lambda _, log: _replace(log),
    "run folder made anew": lambda run, _: _make_anew(run.path),
}


class _Begun(Echo):
    """Tells once it was asked a few times."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = threading.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await super().__call__(exchange)
        if len(self.asked) > 20:
            self.under_way.set()


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_worker_stops_once_its_records_are_gone(lab: Lab, lose: Loss) -> None:
    """It says which file it lost, exits with 1, and sends no more."""
    lab.rows(sums(ROWS))
    echo = _Begun()
    with HttpServer({CHAT: echo}) as server:
        run = lab.prepare(engine=served(server.url("/v1"), concurrency=2))
        log = run.jobs[0] / "1" / "records.jsonl"
        with subprocess.Popen(
            [sys.executable, "-c", WORK, run.jobs[0]], stderr=subprocess.PIPE, text=True
        ) as worker:
            assert echo.under_way.wait(30)
            lose(run, log)
            said = worker.communicate(timeout=30)[1]
        sent = echo.asked.total()

    assert worker.returncode == 1, said
    assert str(log) in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert sent < ROWS


def test_worker_that_lost_its_records_alone_says_so_in_its_state(lab: Lab) -> None:
    """Whoever asks for the run's status is told why it failed."""
    lab.rows(sums(ROWS))
    echo = _Begun()
    with HttpServer({CHAT: echo}) as server:
        run = lab.prepare(engine=served(server.url("/v1"), concurrency=2))
        log = run.jobs[0] / "1" / "records.jsonl"
        with subprocess.Popen([sys.executable, "-c", WORK, run.jobs[0]], stderr=subprocess.PIPE) as worker:
            assert echo.under_way.wait(30)
            log.unlink()
            worker.communicate(timeout=30)

    (job,) = run_outcome(run).jobs
    assert job.state == "failed"
    assert f"{log} is gone" in job.reason
