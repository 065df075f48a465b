"""The Python examples of the documentation run, in order, as a reader would type them in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.engines.mistralrs import KIND as MISTRALRS
from tests.docs.docs_kit import ROOT, blocks

PAGES = [ROOT / "docs" / "python-api.md", ROOT / "docs" / "coming-from.md"]


@pytest.mark.skipif(MISTRALRS.missing() is not None, reason="mistralrs is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_python_runs(page: Path, tmp_path: Path) -> None:
    """Every block runs after those before it, in a folder that holds nothing but what the page shows."""
    project = tmp_path / "empty"
    project.mkdir()
    code = "\n".join(block.text for block in blocks(page) if block.info == "python")
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "not-a-real-key",
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=project,
        env=environment,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("85\n")
