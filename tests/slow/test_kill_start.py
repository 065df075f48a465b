"""A run that is killed while it starts can always be taken up again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runner.runs import all_runs
from tests.http_server import HttpServer
from tests.slow.slow_kit import SECONDS, Counting, Project, Started, recorded, results
from tests.work.work_kit import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 60
CONCURRENCY = 8


def _wait_until_there(started: Started, runs: Path, pattern: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not any(runs.glob(f"*/*/{pattern}")):
        assert time.monotonic() < deadline, started.printed
        time.sleep(0.0005)


@pytest.mark.parametrize(
    "file",
    [
        "inputs",
        "experiment.yaml",
        "jobs/*/job.json",
        "resolved.json",
        "submitit",
        "jobs/*/.worker.lock",
        "submitit/*_submitted.pkl",
        "jobs/*/submission.json",
        "jobs/*/1",
        "jobs/*/1/state.json",
        "jobs/*/1/records.jsonl",
    ],
)
def test_run_killed_at_its_start_is_taken_up(
    file: str, project: Project, server: HttpServer, counting: Counting
) -> None:
    """Everything is killed the moment that a file appears; a resume, or a new run, completes the rows."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY))
    started = project.start("run", "exp.yaml")
    _wait_until_there(started, project.folder / "runs", file)
    started.kill_tree()
    server.wait_until(lambda s: s.open == 0)
    known = bool(all_runs(project.folder / "runs"))
    lost = counting.total - recorded(project.last).total() if known else counting.total
    project.command(*(["resume", "last"] if known else ["run", "exp.yaml"]))

    assert len(results(project.last)) == ROWS
    assert lost <= CONCURRENCY
    assert counting.total == ROWS + lost


@pytest.mark.parametrize(
    "file",
    [
        "jobs/*/.worker.lock",
        "submitit/*_submitted.pkl",
        "submitit/*_log.err",
        "jobs/*/submission.json",
        "jobs/*/1",
        "jobs/*/1/state.json",
    ],
)
def test_killed_command_leaves_no_more_than_one_worker(
    file: str, project: Project, server: HttpServer, counting: Counting
) -> None:
    """The command alone is killed: where a worker lives a resume is refused, and nothing is asked twice."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY))
    started = project.start("run", "exp.yaml")
    _wait_until_there(started, project.folder / "runs", file)
    started.process.kill()
    started.process.wait()
    at_once = project.start("resume", "last")
    code = at_once.wait()
    project.settle(project.last, lambda status: status["state"] not in {"pending", "running"})
    project.command("resume", "last")

    assert code == 0 or (code == 2 and "is under way" in at_once.printed), at_once.printed
    assert len(results(project.last)) == ROWS
    assert counting.total == ROWS


def test_cut_records_and_empty_files_hold_nothing(
    project: Project, server: HttpServer, counting: Counting
) -> None:
    """A line may be cut anywhere, and SQLite makes an empty file before its first table."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1"), concurrency=CONCURRENCY))
    started = project.start("run", "exp.yaml")
    counting.wait_total(ROWS // 2)
    started.kill_tree()
    run = project.last
    known = (run.jobs[0] / "1" / "records.jsonl").read_bytes()
    for attempt, data in (("2", b""), ("3", known[: known.index(b"\n") // 2])):
        (run.jobs[0] / attempt).mkdir()
        (run.jobs[0] / attempt / "records.jsonl").write_bytes(data)
    (run.point("0") / "cache.sqlite").touch()
    run.cache.touch()
    project.command("status", run.path, code=1)
    project.command("resume", "last")

    assert len(results(run)) == ROWS


def test_empty_shared_cache_is_no_obstacle(project: Project) -> None:
    """Whoever made the file may be about to fill it, or dead: a run starts all the same."""
    project.rows(ROWS)
    project.experiment()
    (project.folder / "runs").mkdir()
    (project.folder / "runs" / ".cache.sqlite").touch()
    project.command("run", "exp.yaml")

    assert "100 % cached" in project.command("run", "exp.yaml")
