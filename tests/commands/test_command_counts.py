"""What plan, run and status count adds up, and is what is really asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject

SCORERS = ("-m", "scorers=[exact_match],[numeric]")
EQUAL = "".join(f'{{"id": "{n}", "question": "{n % 2}", "answer": "0"}}\n' for n in range(6))
FAILING = ("engine.error=server_error", "engine.error_rate=0.5", "engine.max_attempts=1")


def planned(made: Project, *words: str) -> dict[str, Any]:
    """Return the totals of a plan, once they are seen to add up."""
    total: dict[str, Any] = made.ran("plan", "sums.yaml", *words, "--json").json["counts"]["total"]
    assert total["wanted"] == total["hits"] + total["shared"] + total["requests"] + total["unrenderable"]
    return total


def standing(made: Project) -> dict[str, int]:
    """Return the sums of the newest run, once they are seen to add up."""
    shown = made.run("status", "--json").json
    points, spent = shown["points"], [job["spent"] for job in shown["jobs"]]
    sums = {name: sum(one.get(name, 0) for one in spent) for name in ("requests", "cached", "shared")}
    sums |= {name: sum(point[name] for point in points) for name in ("expected", "ok", "errors", "missing")}
    sums["cached"] += sum(point["served"] for point in points)
    assert sums["expected"] == sums["ok"] + sums["errors"] + sums["missing"]
    return sums


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("samples=3",),
        ("dataset.limit=5", "samples=2"),
        ("-m", "sampling.temperature=0,1"),
        SCORERS,
        (*SCORERS, "samples=2"),
        (*SCORERS, "cache=refresh"),
        (*SCORERS, "cache=false"),
    ],
    ids=" ".join,
)
def test_plan_counts_what_a_run_asks(project: MakeProject, words: tuple[str, ...]) -> None:
    """After an earlier run of four rows: as many requests, cached and shared answers as the run has."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=4")

    total = planned(made, *words)
    made.ran("run", "sums.yaml", *words)

    run = standing(made)
    assert (total["requests"], total["hits"], total["shared"]) == (
        run["requests"],
        run["cached"],
        run["shared"],
    )
    assert run["ok"] == total["wanted"] == run["requests"] + run["cached"] + run["shared"]


def test_plan_counts_a_request_of_several_points_once(project: MakeProject) -> None:
    """Two points that differ in their scorer alone ask every row once; the table says so."""
    outcome = project({}).ran("plan", "sums.yaml", *SCORERS)

    rows = [
        line.split()[:5] for line in outcome.lines if line.startswith(("point  rows", "0  ", "1  ", "all "))
    ]
    assert rows[-4:] == [
        ["point", "rows", "cached", "shared", "requests"],
        ["0", "6", "0", "0", "6"],
        ["1", "6", "0", "6", "0"],
        ["all", "12", "0", "6", "6"],
    ]


def test_plan_counts_equal_rows_once(project: MakeProject) -> None:
    """Six rows with two questions are two requests, unless the cache is off."""
    made = project({"rows.jsonl": EQUAL})

    assert (planned(made)["requests"], planned(made)["shared"]) == (2, 4)
    assert (planned(made, "cache=false")["requests"], planned(made, "cache=false")["shared"]) == (6, 0)


def test_plan_counts_samples_as_answers(project: MakeProject) -> None:
    """Where a row has several answers, the column that the others add up to is shown."""
    outcome = project({}).ran("plan", "sums.yaml", "samples=3")

    heads = [line.split()[:5] for line in outcome.lines if line.startswith(("point  rows", "0  "))]
    assert heads[-2:] == [["point", "rows", "answers", "cached", "requests"], ["0", "6", "18", "0", "18"]]


def test_plan_counts_rows_that_fail_behind_a_cached_answer(project: MakeProject) -> None:
    """A later turn that can't be rendered is told from answers that are to be asked."""
    turns = "[{user: '{{ row.question }}'}, {generate: one}, {user: '{{ row.hint }}'}, {generate: two}]"
    rows = '{"question": "1", "answer": "1", "hint": "x"}\n{"question": "2", "answer": "2"}\n'
    made = project({"rows.jsonl": rows})
    made.ran("run", "sums.yaml")

    total = planned(made, f"prompt={{turns: {turns}}}")
    made.ran("run", "sums.yaml", f"prompt={{turns: {turns}}}", code=3)

    run = standing(made)
    assert (run["ok"], run["errors"], run["requests"]) == (1, 1, 1)
    assert (total["wanted"], total["hits"], total["requests"], total["unrenderable"]) == (4, 2, 1, 1)


def test_counts_of_a_resumed_run_add_up(project: MakeProject) -> None:
    """A run that the cache answered in part, that then failed in part, and was resumed."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=2")
    made.ran("run", "sums.yaml", *FAILING, code=3)
    first = standing(made)
    made.ran("resume", code=3)
    second = standing(made)

    assert first["cached"] == second["cached"] == 2
    assert first["requests"] == 4
    assert second["requests"] == 4 + first["missing"]


def test_counts_with_final_errors_add_up(project: MakeProject) -> None:
    """A final error is a result that was asked for; the summary names how many there are."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=2")
    outcome = made.ran("run", "sums.yaml", "engine.error=context_length", "engine.error_rate=0.5", code=3)

    run = standing(made)
    assert run["ok"] + run["errors"] == run["cached"] + run["requests"] == 6
    assert _summary(outcome).startswith(f"complete with {run['errors']} final error")


def test_summary_tells_cached_from_shared(project: MakeProject) -> None:
    """What an equal request of the same run brought isn't said to come from the cache."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=4")

    outcome = made.ran("run", "sums.yaml", *SCORERS)

    assert (
        _summary(outcome) == "complete: 2 requests, 2 tokens generated, 8 cached and 2 shared of 12 results"
    )
    assert "  8 of 12 answers cached" in outcome.lines


def _summary(outcome: Outcome) -> str:
    return next(line for line in outcome.lines if line.startswith("complete"))
