"""Memory and the cost of a row stay the same, however many rows there are.

``RUNNER_MEMORY_ROWS`` sets how many are many.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import pytest

from tests.slow.slow_kit import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FEW = 10_000
MANY = int(os.environ.get("RUNNER_MEMORY_ROWS", "200_000"))
MOST_MB = 300
MOST_GROWTH = 1.25
PAGES_MB = 2 * 64 + 48
"""Pages that SQLite keeps of a point's file and of the shared cache, and to sort; few rows fill none."""
MOST_SLOWDOWN = 1.3


@dataclass(frozen=True, slots=True)
class Cost:
    """What a whole command has cost: planning, asking, recording, scoring and folding in one process."""

    peak_mb: float
    cpu_seconds: float


def _cost(project: Project, *words: object) -> Cost:
    started = project.start(*words)
    _, status, usage = os.wait4(started.process.pid, 0)
    started.process.returncode = os.waitstatus_to_exitcode(status)
    assert started.process.returncode == 0, started.printed
    return Cost(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def _experiment(project: Project, rows: int) -> Path:
    """Write an experiment with rows of about a hundred bytes."""
    with (project.folder / f"rows-{rows}.jsonl").open("w") as file:
        for number in range(rows):
            file.write(
                json.dumps({"id": str(number), "q": f"question {number:060}", "a": "an answer"}) + "\n"
            )
    return project.experiment(
        f"rows-{rows}",
        dataset={"path": f"rows-{rows}.jsonl", "target": "{{ row.a }}"},
        cluster={"kind": "inline"},
    )


def _typical(project: Project, rows: int) -> tuple[Cost, Cost]:
    """Return the median costs of a run that asks everything and of one that asks nothing."""
    file, asked, cached = _experiment(project, rows), [], []
    for _ in range(3):
        asked.append(_cost(project, "run", file))
        cached.append(_cost(project, "run", file))
        (project.folder / "runs" / ".cache.sqlite").unlink()
    return _median(asked), _median(cached)


def _median(costs: list[Cost]) -> Cost:
    return sorted(costs, key=attrgetter("cpu_seconds"))[len(costs) // 2]


def _per_row(cost: Cost, start: Cost, rows: int) -> float:
    return (cost.cpu_seconds - start.cpu_seconds) / rows


def test_memory_is_flat_and_rows_cost_the_same(project: Project) -> None:
    """A run of many rows, and its rerun from the cache, stay near what few rows take."""
    start, _ = _typical(project, 1)
    few, few_again = _typical(project, FEW)
    many = _cost(project, "run", _experiment(project, MANY))
    many_again = _cost(project, "run", f"rows-{MANY}.yaml")
    figures = {"start": start, "few": few, "few again": few_again, "many": many, "many again": many_again}
    print(figures)

    assert max(many.peak_mb, many_again.peak_mb) <= MOST_MB, figures
    assert many.peak_mb <= MOST_GROWTH * few.peak_mb + PAGES_MB, figures
    assert many_again.peak_mb <= MOST_GROWTH * few_again.peak_mb + PAGES_MB, figures
    assert _per_row(many, start, MANY) <= MOST_SLOWDOWN * _per_row(few, start, FEW), figures
    assert _per_row(many_again, start, MANY) <= MOST_SLOWDOWN * _per_row(few_again, start, FEW), figures
