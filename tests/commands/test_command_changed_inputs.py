"""Inputs that were changed after the launch are found before anything is launched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"]
)
def test_copy_that_is_no_file_any_more_is_damaged(project: MakeProject, put: Callable[[Path], None]) -> None:
    """It would never end."""
    made = project({})
    run = made.prepare()
    (copy,) = (run.path / "inputs").iterdir()
    copy.unlink()
    put(copy)

    refused = made.ran("resume", "last", code=2)

    assert "is damaged" in refused.err
