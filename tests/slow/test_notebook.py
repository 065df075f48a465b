"""A batch in a notebook without ipywidgets, by a real IPython kernel."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.environments import ROOT, notebook_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_notebook_without_widgets_shows_a_bar_of_text(tmp_path: Path) -> None:
    """It is written over with each state; no widget is displayed, and nothing is warned of."""
    words = [str(notebook_python()), "-m", "tests.slow.notebook"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert (told["result"], told["error"], told["displayed"]) == ("['A', 'B', 'C']", None, [])
    states = told["stderr"].strip().split("\r")
    assert states[0].startswith("0/3")
    assert "3/3" in states[-1]
    assert "ipywidgets" not in told["stderr"]
