"""Folding may be killed at any moment: folding again gives what an undisturbed fold would have given."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from runner.config import compose
from runner.plan import make_plan
from runner.prepare import specify, write_run
from runner.runs import RunFolder
from runner.start import jobs_of, launch_jobs
from tests.slow.slow_kit import Project, Started

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 20_000
KILLS = 4
"""For each of the files that a fold writes."""
COPIES = 5
"""Of a run, at most."""


def _worked(project: Project) -> RunFolder:
    """Return a run that was worked, and never folded."""
    project.rows(ROWS)
    file = project.experiment(
        cluster={"kind": "inline"},
        engine={"kind": "fake", "template": "{{ last }}", "error": "bad_request", "error_rate": 0.1},
    )
    plan = make_plan(compose(file, []))
    run = write_run(plan, specify(plan), ["test"])
    launch_jobs(run, jobs_of(run))
    return run


def _copy(run: RunFolder, name: str) -> RunFolder:
    folder = run.runs.with_name(name)
    shutil.copytree(run.runs, folder)
    return RunFolder(folder / run.path.parent.name / run.path.name)


def _dump(file: Path) -> list[str]:
    """Return everything that a SQLite file holds, but the marks that count how often it was written."""
    db = sqlite3.connect(file)
    try:
        return sorted(line for line in db.iterdump() if not line.startswith('INSERT INTO "marks"'))
    finally:
        db.close()


def _same(one: RunFolder, other: RunFolder) -> bool:
    files = ("results.jsonl", "metrics.json")
    return (
        all((one.point("0") / name).read_bytes() == (other.point("0") / name).read_bytes() for name in files)
        and _dump(one.point("0") / "cache.sqlite") == _dump(other.point("0") / "cache.sqlite")
        and _dump(one.cache) == _dump(other.cache)
    )


def _growth(file: Path) -> tuple[int, int]:
    """Return a file's size and time stamp; zeros before it is there."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _kill_at(started: Started, file: Path, size: int, before: int) -> bool:
    """Kill a fold once it has written *file* up to *size*; False if it ended first."""
    while started.process.poll() is None:
        grown, stamp = _growth(file)
        if stamp != before and grown >= size:
            started.process.kill()
            return started.wait() == -signal.SIGKILL
        time.sleep(0.0005)
    return False


def _files(run: RunFolder) -> dict[str, Path]:
    """Return what a fold writes, in its order."""
    point = run.point("0")
    return {
        "folded": point / "cache.sqlite",
        "shared": run.cache,
        "exported": point / ".results.jsonl.tmp",
    }


def _disturb(project: Project, run: RunFolder, final: dict[str, int], draw: random.Random) -> Counter[str]:
    """Kill a run's folds while each file is being written; return how many kills came in time, by file."""
    hits = Counter[str]()
    for name, file in _files(run).items():
        for share in sorted(draw.uniform(0, 0.95) for _ in range(KILLS)):
            before = _growth(file)[1]
            started = project.start("status", run.path)
            hits[name] += _kill_at(started, file, int(share * final[name]), before)
    project.command("status", run.path, code=3)
    return hits


@pytest.mark.parametrize("series", range(2))
def test_killed_folds_lead_to_the_same_files(series: int, project: Project) -> None:
    """Twelve kills, while each file is being written, each on what the earlier ones left behind.

    On a busy machine a kill may come when all is written: then another copy is disturbed.
    """
    worked, seed = _worked(project), random.randrange(1_000_000) + series
    undisturbed = _copy(worked, "undisturbed")
    project.command("status", undisturbed.path, code=3)
    final = {name: _growth(file)[0] for name, file in _files(undisturbed).items()}
    final["exported"] = _growth(undisturbed.point("0") / "results.jsonl")[0]
    print("seed", seed)
    draw, hits = random.Random(seed), Counter[str]()
    for number in range(COPIES):
        disturbed = _copy(worked, f"disturbed-{number}")
        hits += _disturb(project, disturbed, final, draw)
        assert _same(disturbed, undisturbed)
        if set(hits) == set(final):
            break

    print(hits)
    assert set(hits) == {"folded", "exported", "shared"}
