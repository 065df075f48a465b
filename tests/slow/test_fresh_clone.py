"""A clone, make and Python are enough to see a model evaluated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slow.slow_kit import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _make_run(clone: Path) -> str:
    hidden = {
        "PYTHONPATH",
        "RUNNER_RUNS",
        "VIRTUAL_ENV",
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "PYTHON",
        "VENV",
    }
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        ["make", "run", f"PYTHON={sys.executable}"],
        cwd=clone,
        env=env | {"COLUMNS": "200", "XDG_CONFIG_HOME": str(clone.parent / "nobody")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_make_run_shows_a_score_and_then_hits_the_cache(tmp_path: Path) -> None:
    """The first time builds everything and shows the table; the second asks nothing."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    first = _make_run(clone)
    second = _make_run(clone)
    run = re.search(r"runs/addition/\S+", first)

    assert re.search(r"exact_match\s*\n.*\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", first), first
    assert run is not None
    assert (clone / run[0] / "resolved.json").is_file()
    assert re.search(r"^next: +runner show addition/", first, re.MULTILINE)
    assert "100 % cached, 0 requests" in second
