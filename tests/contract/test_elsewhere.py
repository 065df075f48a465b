"""The contract of engines that live in this process, run where they are installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.environments import ROOT, TRANSFORMERS, transformers_python

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("version", TRANSFORMERS)
def test_transformers_keeps_the_contract_with_every_version(version: str) -> None:
    """Every claim about it, none left out."""
    names = ("test_contract.py", "test_conversations.py", "test_tasks.py", "test_own_files.py")
    suites = [str(Path(__file__).with_name(name)) for name in names]
    chosen = ["-k", "transformers and not offline"]
    words = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *chosen, *suites]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [transformers_python(version), *words], cwd=ROOT, env=env, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout[-10_000:]
    assert "skipped" not in done.stdout, done.stdout[-10_000:]
