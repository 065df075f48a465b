"""Memory stays the same, however many rows there are; what a row costs, benchmarks/memory.py measures.

``RUNNER_MEMORY_ROWS`` sets how many are many.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


LAUNCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
"""A small process between: to the kernel, what a child's parent took counts as the child's own peak."""


def _peak(project: Project, *words: object) -> float:
    """Peak memory (MB) of a whole command: planning, asking, scoring and folding in one process."""
    command = [sys.executable, "-c", LAUNCH, sys.executable, "-m", "runner", *map(str, words)]
    done = subprocess.run(
        command, cwd=project.folder, env=project.env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stderr.splitlines()[-1]) / 1024


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


def test_memory_is_flat(project: Project) -> None:
    """A run of many rows, and its rerun from the cache, stay near what few rows take."""
    few_file, many_file = _experiment(project, FEW), _experiment(project, MANY)
    few, few_again = _peak(project, "run", few_file), _peak(project, "run", few_file)
    many, many_again = _peak(project, "run", many_file), _peak(project, "run", many_file)
    figures = {"few": few, "few again": few_again, "many": many, "many again": many_again}
    print(figures)

    assert max(many, many_again) <= MOST_MB, figures
    assert many <= MOST_GROWTH * few + PAGES_MB, figures
    assert many_again <= MOST_GROWTH * few_again + PAGES_MB, figures
