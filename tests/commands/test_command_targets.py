"""Targets that can't be used, and patterns that take too long: what plan and run say of them."""

from __future__ import annotations

import json
from typing import Any

from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject

NUMERIC = SUMS.replace("[exact_match]", "[numeric]")

TARGETS = ["0", "one", True, 3, {"a": 1}]


def rows(*targets: Any) -> str:
    """Return a dataset with these targets; its questions count from 0."""
    lines = [{"id": f"r{n}", "question": str(n), "answer": target} for n, target in enumerate(targets)]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_plan_counts_targets_without_a_number(project: MakeProject) -> None:
    """Their rows are no requests: plan and run both name the first one and count them."""
    made = project({"sums.yaml": NUMERIC, "rows.jsonl": rows(*TARGETS)})

    planned = made.ran("plan", "sums.yaml")
    ran = made.ran("run", "sums.yaml", code=3)

    for outcome in (planned, ran):
        told = [line for line in outcome.lines if " x RenderError" in line]
        assert any(
            "such as row r1: scorers.numeric: the target 'one' holds no number" in line for line in told
        )
        assert any("row r4: scorers.numeric: row.answer is a map" in line for line in told)
    (point,) = made.ran("status", "last", "--json", code=3).json["points"]
    assert (point["ok"], point["errors"]) == (2, 3)


def test_a_dataset_without_any_number_is_refused(project: MakeProject) -> None:
    """Nothing is launched, and the message names the setting that chooses the field."""
    made = project({"sums.yaml": NUMERIC, "rows.jsonl": rows("one", "two", None)})

    for command in ("plan", "run"):
        refused = made.ran(command, "sums.yaml", code=2)
        assert "not one row of" in refused.err
        assert "scorers.numeric: the target 'one' holds no number" in refused.err
        assert "scorers.numeric.target" in refused.err
    assert not (made.root / "runs").exists()


def test_a_list_of_targets_means_any_of_them(project: MakeProject) -> None:
    """Its elements keep their JSON values, and results.jsonl has them all."""
    made = project({"rows.jsonl": rows(["5", 0], ["x"], [2, "two"])})

    made.ran("run", "sums.yaml")

    (line, *_) = (made.last.point("0") / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["scores"]["exact_match"] == {"value": 1.0, "answer": "0", "target": ["5", "0"]}
    made.ran("rescore", "last", "scorers=[numeric]")
    metrics = json.loads((made.last.path / "rescored/1/points/0/metrics.json").read_text())
    assert metrics["scores"]["numeric"]["mean"]["rows"] == 2


def test_a_pattern_that_takes_too_long_costs_its_row_the_score_alone(project: MakeProject) -> None:
    """The row ends as an error that names the pattern; its answer is kept, and other rows are scored."""
    slow = {"id": "slow", "question": "a" * 60 + "!", "answer": "a"}
    made = project({"rows.jsonl": rows("0") + json.dumps(slow) + "\n"})

    made.ran("run", "sums.yaml", "scorers={r: {kind: regex, pattern: '^((a|aa)+|0)$'}}", code=3)

    lines = map(json.loads, (made.last.point("0") / "results.jsonl").read_text().splitlines())
    sound, failed = lines
    assert sound["scores"]["r"]["value"] == 1
    assert failed["error"]["kind"] == "ScorerError"
    assert failed["slots"] == {"answer": slow["question"]}
