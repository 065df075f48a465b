from __future__ import annotations

import json

import pytest

from runner.engines.mistralrs import KIND
from runner.shipped import shipped
from tests.commands.conftest import MakeProject


@pytest.mark.skipif(KIND.missing() is not None, reason="mistralrs is not installed")
def test_choice_of_auto_is_told_wherever_one_looks(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the plan, by the run, in the job's log and in provenance.json: which engine, and why."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    made = project({})
    engine = [f"model.name={shipped() / 'models' / 'tiny'}", "engine=auto", "cluster=local"]
    plan = made.ran("plan", "sums.yaml", *engine).out
    (note,) = [line.strip() for line in plan.splitlines() if "engine: auto is" in line]
    run = made.ran("run", "sums.yaml", *engine, "sampling.max_tokens=4").out
    provenance = json.loads((made.last.path / "provenance.json").read_bytes())
    (job,) = made.last.jobs

    assert note.startswith("engine: auto is ")
    assert "without a GPU" in note
    assert note in run
    (engine_of_job,) = provenance["engines"].values()
    assert engine_of_job == {"kind": note.split()[3].rstrip(","), "why": note}
    assert (job / "1" / "stdout.log").read_text().splitlines()[0] == note
