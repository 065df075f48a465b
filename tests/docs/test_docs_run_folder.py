"""The run folder is what docs/run-folder.md shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.cli import main
from tests.docs.docs_kit import ROOT

PAGE = ROOT / "docs" / "run-folder.md"
_OWN = {"inputs", "submitit"}
"""Folders whose files are named after data, or by others."""


@pytest.mark.parametrize("page", [PAGE])
def test_every_file_of_a_run_is_documented(project: Path) -> None:
    """After a run and a rescoring no file lies in the run's folder that the page doesn't name."""
    assert main(["run", "addition", "engine=fake", "dataset.limit=2", "engine.error_rate=0"]) == 0
    assert main(["rescore", "last", "scorers=[numeric]"]) == 0
    runs = project / "runs"
    made = [path.relative_to(runs) for path in runs.rglob("*") if path.is_file()]
    names = {
        path.name
        for path in made
        if not _OWN & set(path.parts) and path.suffix != ".lock" and path.name != ".lock"
    }

    assert "records.jsonl" in names
    assert {name for name in names if name not in PAGE.read_text()} == set()


@pytest.mark.parametrize("page", [PAGE])
def test_every_documented_file_is_made(project: Path) -> None:
    """What the page's tree names lies on disk after a run and a rescoring."""
    assert main(["run", "addition", "engine=fake", "dataset.limit=2"]) == 0
    assert main(["rescore", "last", "scorers=[numeric]"]) == 0
    tree = PAGE.read_text().split("```")[1]
    named = set(re.findall(r"[\w.-]+\.(?:jsonl?|yaml|txt|log|sqlite)\b", tree))
    made = {path.name.partition("-")[2] or path.name for path in (project / "runs").rglob("*")}

    assert {name for name in named if (name.partition("-")[2] or name) not in made} == set()
