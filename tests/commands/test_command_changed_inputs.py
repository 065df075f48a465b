"""Inputs that were changed after the launch are found before anything is launched."""

from __future__ import annotations

import shutil

from runner.shipped import shipped
from tests.commands.conftest import MakeProject

EMBEDDED = """\
model: weights
engine: {kind: mistralrs}
prompt: "{{ row.question }}"
dataset: rows.jsonl
cluster: inline
"""


def test_resume_refuses_weights_that_were_changed(project: MakeProject) -> None:
    """It exits 2, names the weights, and no attempt at the job is made."""
    made = project({"own.yaml": EMBEDDED})
    shutil.copytree(shipped() / "models" / "tiny", made.root / "weights")
    run = made.prepare(file="own.yaml")
    with (made.root / "weights" / "config.json").open("a") as config:
        config.write("\n")

    outcome = made.ran("resume", "last", code=2)

    assert "weights has changed since this run was launched; start a new run" in outcome.err
    assert not list(run.path.glob("jobs/*/attempt*"))
    assert not list(run.path.glob("jobs/*/submission*"))
