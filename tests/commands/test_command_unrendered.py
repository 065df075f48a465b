"""Rows that can't be rendered are told before a run, and never pass for cached ones."""

from __future__ import annotations

import json

import pytest

from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject

ROWS = [
    {"id": "a", "question": "1", "hint": "x", "answer": "1"},
    {"id": "b", "question": "2", "hint": "x", "answer": "2"},
    {"id": "c", "question": "3", "answer": "3"},
    {"id": "d", "question": "4", "hint": "x"},
    {"id": "e", "answer": "3", "question": "5", "more": 1},
]
PROMPT = "prompt='{{ row.question }} {{ row.hint }}'"
NO_HINT = (
    " x RenderError, such as row c: template prompt.user:1: the row has no column 'hint' "
    "(known: id, question, answer)"
)
NO_ANSWER = (
    " x RenderError, such as row d: template scorers.exact_match.target:1: the row has no column 'answer' "
    "(known: id, question, hint)"
)


@pytest.fixture
def made(project: MakeProject) -> Project:
    """Two sound rows that an earlier run was answered, and three that can't be rendered."""
    made = project({"rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS)})
    made.ran("run", "sums.yaml", PROMPT, "dataset.limit=2")
    return made


def test_plan_names_each_fault_with_its_first_row(made: Project) -> None:
    """As a run does, with as many results as have it; nothing says that all is cached."""
    outcome = made.ran("plan", "sums.yaml", PROMPT)

    cells = next(line.split() for line in outcome.lines if line.startswith("0 "))
    assert cells[:5] == ["0", "5", "2", "0", "3"]
    assert "  2" + NO_HINT in outcome.lines
    assert "  1" + NO_ANSWER in outcome.lines
    assert "All answers" not in outcome.out
    assert (
        "2 of 5 answers come from the cache, 3 can't be rendered: a run takes no engine, key, GPU or Slurm."
    ) in outcome.lines


def test_run_says_how_much_is_cached(made: Project) -> None:
    """Its first line counts what can't be rendered apart; its failures are those of the plan."""
    outcome = made.ran("run", "sums.yaml", PROMPT, code=3)

    assert outcome.lines[0].startswith(
        "sums  1 point, 2 of 5 answers cached, 3 can't be rendered, 0 requests  "
    )
    assert "100 %" not in outcome.out
    assert "  2" + NO_HINT in outcome.lines
    assert "  1" + NO_ANSWER in outcome.lines


def test_run_that_asks_says_what_it_will_not(made: Project) -> None:
    """What is cached and what can't be rendered stand below the line of its jobs."""
    words = (PROMPT, "-m", "sampling.temperature=0,1")

    assert (
        "  2 of 10 answers cached, 6 can't be rendered" in made.ran("run", "sums.yaml", *words, code=3).lines
    )


def test_plan_tells_a_fault_of_several_points_once(made: Project) -> None:
    """Their counts are added up, as a run adds them."""
    words = (PROMPT, "-m", "sampling.temperature=0,1")

    planned = made.ran("plan", "sums.yaml", *words)
    ran = made.ran("run", "sums.yaml", *words, code=3)

    told = ["  4" + NO_HINT, "  2" + NO_ANSWER]
    assert [line for line in planned.lines if " x " in line] == told
    assert [line for line in ran.lines if " x " in line] == told


def test_plan_json_has_the_faults(made: Project) -> None:
    """Of every point, as its metrics.json has them, and of all together."""
    counts = made.ran("plan", "sums.yaml", PROMPT, "-m", "samples=1,2", "--json").json["counts"]
    made.ran("run", "sums.yaml", PROMPT, "samples=2", code=3)

    points = [[(one["id"], one["count"]) for one in point["failures"]] for point in counts["points"]]
    assert points == [[("c", 2), ("d", 1)], [("c", 4), ("d", 2)]]
    assert [(one["id"], one["count"]) for one in counts["total"]["failures"]] == [("c", 6), ("d", 3)]
    (metrics,) = made.last.path.glob("points/*/metrics.json")
    assert counts["points"][1]["failures"] == json.loads(metrics.read_text())["failures"]


def test_plan_without_faults_says_nothing_of_them(made: Project) -> None:
    """Where every row can be rendered, all answers may come from the cache."""
    outcome = made.ran("plan", "sums.yaml", PROMPT, "dataset.limit=2", "--json")

    assert outcome.json["counts"]["total"]["failures"] == []
    assert "All answers come from the cache" in made.ran("plan", "sums.yaml", PROMPT, "dataset.limit=2").out
