"""``runner parity`` on real engines: their greedy answers are the same, token by token."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.engines.served_engine import ServedEngine
from tests.contract.environments import transformers_python
from tests.contract.subjects import ROOT, TINY, Subject
from tests.slow.slow_kit import Project

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(900)]

DATA = ("addition", "subtraction", "reversal")
EACH = 200
ROWS = EACH * len(DATA)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project whose experiment asks rows of three of the shipped datasets."""
    files = [(ROOT / "data" / f"{name}.jsonl").read_text() for name in DATA]
    lines = [line for text in files for line in text.splitlines()[:EACH]]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config"), "OMP_NUM_THREADS": "1"}
    made = Project(tmp_path, {**env, "PYTHONPATH": str(ROOT)})
    made.experiment(
        model={"name": str(TINY)},
        prompt="{{ row.question }}",
        dataset={"path": "rows.jsonl"},
        sampling={"max_tokens": 16},
        scorers={},
        cluster="inline",
    )
    return made


@pytest.mark.parametrize("subject", ["vllm", "sglang"], indirect=True)
def test_servers_answer_as_the_engines_within_this_process_do(subject: Subject, project: Project) -> None:
    """All rows of each pair to the last token, so that all four engines agree with each other."""
    assert isinstance(subject.engine, ServedEngine)
    name = subject.kind.name
    server = f"{{kind: {name}, base_url: '{subject.engine.address}/v1', served_model_name: tiny}}"

    for other, python in (("mistralrs", sys.executable), ("transformers", str(transformers_python()))):
        command = replace(project, python=python).start(
            "parity", "exp.yaml", "--engines", f"{other},{server}"
        )
        assert command.wait(600) == 0, command.printed
        found: dict[str, Any] = json.loads((project.last.path / "parity.json").read_text())
        (pair,) = found["pairs"]

        assert (set(pair["names"]), pair["by"]) == ({other, name}, "token")
        assert (pair["same"], pair["total"], pair["one_sided"]) == (ROWS, ROWS, 0)
