"""A score says which rows it counts, and what became of those that failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.commands.commands_kit import ROWS, Outcome, Project
from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING

LACKING = [row if n < 4 else {**row, "question": None} for n, row in enumerate(ROWS)]
"""Two rows of six that can't be rendered; of the other four the parrot has three right."""


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def scored(outcome: Outcome, point: str = "0") -> str:
    """Return the table's line for a point."""
    (line,) = [line for line in outcome.lines if line.startswith(f"{point} ")]
    return line


def metric(project: Project, name: str = "mean", folder: str = "") -> Any:
    path = project.last.path / folder / "points" / "0" / "metrics.json"
    return json.loads(path.read_text())["scores"]["exact_match"][name]


def test_rows_that_failed_are_excluded_and_told_beside_the_score(project: MakeProject) -> None:
    """Wherever the score is shown: run, status, rescore, the JSON of status, metrics.json."""
    made = project({"rows.jsonl": lines(LACKING)})

    shown = [made.ran("run", "sums.yaml", code=3), made.ran("status", code=3), made.ran("rescore", "last")]

    for outcome in shown:
        assert scored(outcome).endswith("0.750 [0.301, 0.954]  4 of 6 rows, 2 failed excluded"), outcome.out
        assert outcome.lines[outcome.lines.index(scored(outcome)) - 1].split()[-2:] == [
            "exact_match",
            "scored",
        ]
    expected = {"value": 0.75, "rows": 4, "failed": 2, "failed_rows": "exclude", "ci_method": "wilson"}
    point = made.ran("status", "--json", code=3).json["points"][0]
    assert point["rows"] == 6
    for found in (metric(made), point["scores"]["exact_match"]["mean"]):
        assert expected.items() <= found.items()
        assert found["stderr"] == pytest.approx(0.25)
        assert found["ci95"] == [pytest.approx(0.300642, abs=1e-6), pytest.approx(0.954413, abs=1e-6)]


@pytest.mark.parametrize("override", ["failed_rows=wrong", "scorers.exact_match.failed_rows=wrong"])
def test_rows_that_failed_may_count_as_wrong(project: MakeProject, override: str) -> None:
    """For the whole experiment or for one scorer; rescore changes it either way."""
    made = project({"rows.jsonl": lines(LACKING)})
    wrong = "0.500 [0.188, 0.812]  2 failed counted as wrong"

    assert scored(made.ran("run", "sums.yaml", override, code=3)).endswith(wrong)
    back = made.ran("rescore", "last", override.replace("wrong", "exclude"))
    assert scored(back).endswith("4 of 6 rows, 2 failed excluded")
    assert scored(made.ran("rescore", "last")).endswith(wrong)
    assert {"value": 0.5, "rows": 6, "failed": 2, "failed_rows": "wrong"}.items() <= metric(made).items()


def test_samples_that_failed_are_counted_one_by_one(project: MakeProject) -> None:
    """A row may have failed in some of its samples only, so that they are what is counted."""
    made = project({"rows.jsonl": lines(LACKING)})

    outcome = made.ran("run", "sums.yaml", "samples=3", "sampling.temperature=1", code=3)

    assert scored(outcome).endswith("0.750 [0.301, 0.954]  4 of 6 rows, 6 failed samples excluded")


def test_scorer_may_differ_from_the_experiment(project: MakeProject) -> None:
    """Where scores count different rows, each says beside it which."""
    made = project({"rows.jsonl": lines(LACKING)})
    own = "scorers={exact: {kind: exact_match, failed_rows: exclude}, numeric: {kind: numeric}}"

    outcome = made.ran("run", "sums.yaml", "failed_rows=wrong", own, code=3)

    line = scored(outcome)
    assert "0.750 [0.301, 0.954] (4 of 6 rows, 2 failed excluded)" in line
    assert line.endswith("0.500 [0.188, 0.812] (2 failed counted as wrong)")


def test_rows_that_a_scorer_fails_on_count_as_failed(project: MakeProject) -> None:
    """A target made of the answer can be unusable only once the answer is there."""
    rows = [{**row, "question": text} for row, text in zip(ROWS, ["7", "8", "no number"] * 2, strict=True)]
    made = project({"rows.jsonl": lines(rows)})
    scorer = "scorers={exact_match: {kind: numeric, target: '{{ answer }}'}}"

    assert scored(made.ran("run", "sums.yaml", scorer, code=3)).endswith("4 of 6 rows, 2 failed excluded")
    wrong = made.ran("rescore", "last", "failed_rows=wrong")
    assert scored(wrong).endswith("0.667 [0.300, 0.903]  2 failed counted as wrong")


def test_rows_that_are_missing_are_never_wrong(project: MakeProject) -> None:
    """A resume may bring them: they are left out until then, and the score says so."""
    made = project({})
    outcome = made.ran("run", "sums.yaml", *FAILING, "failed_rows=wrong", code=3)
    ok = made.ran("status", "--json", code=3).json["points"][0]["ok"]

    assert 0 < ok < 6
    assert scored(outcome).endswith(f"  {ok} of 6 rows")
    assert metric(made)["rows"] == ok
    assert "failed" not in metric(made)


def test_metrics_over_rows_that_lack_samples_say_how_many_rows_they_count(project: MakeProject) -> None:
    """Rows with too few samples are left out of pass@k and majority@k; the mean takes what there is."""
    made = project({})
    report = "scorers.exact_match.report=[mean,pass@2,majority@3]"

    outcome = made.ran("run", "sums.yaml", "samples=3", "sampling.temperature=1", report, *FAILING, code=3)

    rows = {name: metric(made, name)["rows"] for name in ("mean", "pass@2", "majority@3")}
    assert len(set(rows.values())) > 1
    assert rows["majority@3"] < 6
    for number in rows.values():
        assert f" ({number} of 6 rows)" in scored(outcome)
    assert made.ran("status", code=3).lines[-4:] == outcome.lines[-4:]


def test_score_of_all_rows_says_no_more(project: MakeProject) -> None:
    """Nothing stands beside a score that counts every row."""
    outcome = project({}).ran("run", "sums.yaml")

    assert scored(outcome).endswith("0.500 [0.188, 0.812]")
    assert "scored" not in outcome.lines[1]
