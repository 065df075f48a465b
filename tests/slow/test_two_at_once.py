"""Runs of the same experiment at the same moment get in nobody's way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import partial

import pytest

from runner.runs import all_runs
from tests.http_server import HttpServer
from tests.slow.slow_kit import Counting, Project, Started, results
from tests.work.work_kit import served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 400


def _all_end_well(started: Iterable[Started]) -> None:
    for one in started:
        code = one.wait()
        assert code == 0, one.printed
        assert "locked" not in one.printed


def _stored(project: Project) -> int:
    db = sqlite3.connect(project.folder / "runs" / ".cache.sqlite")
    try:
        (count,) = db.execute("SELECT count(*) FROM responses").fetchone()
    finally:
        db.close()
    return int(count)


def _half_shared(own: int, row: int) -> str:
    return f"own {own} {row}" if row % 2 else f"shared {row}"


def test_two_runs_at_once_both_complete(project: Project, server: HttpServer, counting: Counting) -> None:
    """Each may pay for a request that the other sends too; afterwards nobody does."""
    project.rows(ROWS)
    project.experiment(engine=served(server.url("/v1")))
    _all_end_well([project.start("run", "exp.yaml") for _ in range(2)])
    paid = counting.total
    third = project.command("run", "exp.yaml")
    runs = all_runs(project.folder / "runs")

    assert [len(results(run)) for run in runs] == [ROWS] * 3
    assert ROWS <= paid <= 2 * ROWS
    assert counting.total == paid
    assert "100 % cached, 0 requests" in third


def test_two_runs_of_the_fake_engine_at_once_both_complete(project: Project) -> None:
    """The same without a server between, so that both fold at nearly the same time."""
    project.rows(20 * ROWS)
    project.experiment()
    _all_end_well([project.start("run", "exp.yaml") for _ in range(2)])
    third = project.command("run", "exp.yaml")

    assert _stored(project) == 20 * ROWS
    assert "100 % cached, 0 requests" in third


def test_ten_runs_fold_into_one_cache_at_once(project: Project) -> None:
    """Ten experiments, half of whose rows all share, add to a cache that none of them found there."""
    for number in range(10):
        project.rows(100, partial(_half_shared, number))
        (project.folder / "rows.jsonl").rename(project.folder / f"rows-{number}.jsonl")
        project.experiment(
            f"exp{number}", dataset={"path": f"rows-{number}.jsonl"}, scorers={}, cluster={"kind": "inline"}
        )
    _all_end_well([project.start("run", f"exp{number}.yaml") for number in range(10)])

    assert _stored(project) == 10 * 50 + 50
    assert "100 % cached, 0 requests" in project.command("run", "exp7.yaml")


def test_status_of_a_run_under_way_disturbs_nobody(
    project: Project, server: HttpServer, counting: Counting
) -> None:
    """Each status folds what is there, while the worker goes on writing and the command following."""
    project.rows(5 * ROWS)
    project.experiment(engine=served(server.url("/v1")))
    running = project.start("run", "exp.yaml")
    counting.wait_total(1)
    looks = [project.start("status", "last") for _ in range(6)]
    _all_end_well([*looks, running])

    assert len(results(project.last)) == 5 * ROWS
    assert counting.total == 5 * ROWS
