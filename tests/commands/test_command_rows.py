"""What is wrong with a dataset is told at once, whichever command reads it."""

from __future__ import annotations

import json
import re

import pytest

from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject

BAD = """\
{"id": "a", "question": "1", "answer": "1"}
{
{"id": "a", "question": "2", "answer": "2"}
{"id": null, "question": "3", "answer": "3"}
"""
MISNAMED = SUMS.replace("row.question", "row.qestion").replace("row.answer", "row.anwser")


@pytest.mark.parametrize("command", ["run", "plan", "render"])
def test_columns_lines_and_ids_are_told_in_one_message(project: MakeProject, command: str) -> None:
    """All that one pass over the rows can find, and nothing is written."""
    made = project({"sums.yaml": MISNAMED, "rows.jsonl": BAD})

    outcome = made.ran(command, "sums.yaml", code=2)

    rows = made.root / "rows.jsonl"
    known = "known: id, question, answer"
    # What stands in the brackets is the JSON library's.
    lines = re.sub(r"JSON \(.*\)", "JSON (...)", outcome.err).splitlines()
    assert lines == [
        f"runner: prompt (sums.yaml:3): {rows} has no column 'qestion'",
        f"    did you mean 'question'? {known}",
        f"dataset.target (sums.yaml:4): {rows} has no column 'anwser'",
        f"    did you mean 'answer'? {known}",
        f"{rows}:2: no valid JSON (...): '{{'",
        f"{rows}:4: the id column 'id' holds null, not a text or a number",
        f"{rows}:3: the id 'a' stands on line 1 already",
    ]
    assert not (made.root / "runs").exists()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_every_dataset_of_a_sweep_is_told(project: MakeProject, command: str) -> None:
    """A file that several points read is told once; one that is not there doesn't hide it."""
    good = json.dumps({"id": "a", "question": "1", "answer": "1"})
    made = project({"rows.jsonl": BAD, "good.jsonl": good, "other.jsonl": "["})

    sweep = ["-m", "dataset.path=rows.jsonl,good.jsonl,other.jsonl", "sampling.seed=1,2"]
    outcome = made.ran(command, "sums.yaml", *sweep, code=2)

    told = outcome.err.removeprefix("runner: ").splitlines()
    assert [line.removeprefix(f"{made.root}/").split(": ")[0] for line in told] == [
        "rows.jsonl:2",
        "rows.jsonl:4",
        "rows.jsonl:3",
        "other.jsonl:1",
    ]


def test_columns_that_some_points_name_are_told_beside_the_rows(project: MakeProject) -> None:
    """With the point they are of."""
    made = project({"rows.jsonl": BAD})

    outcome = made.ran("run", "sums.yaml", "-m", "prompt='{{ row.question }}','{{ row.q }}'", code=2)

    first, *_, last = outcome.err.splitlines()
    assert first.startswith("runner: prompt [prompt='{{ row.q }}'] (command line): ")
    assert last.endswith(":3: the id 'a' stands on line 1 already")


def test_rows_that_render_shows_are_shown_though_others_are_bad(project: MakeProject) -> None:
    """It reads no more rows than it shows."""
    made = project({"rows.jsonl": BAD})

    assert "user: 1" in made.ran("render", "sums.yaml", "--rows", "1").out


def test_point_that_is_skipped_leaves_the_rows_of_others_to_be_told(project: MakeProject) -> None:
    """`--skip-refused` passes over a point whose columns are missing, not over broken rows."""
    made = project({"rows.jsonl": BAD})

    sweep = ["-m", "prompt='{{ row.question }}','{{ row.q }}'", "--skip-refused"]
    outcome = made.ran("run", "sums.yaml", *sweep, code=2)

    assert outcome.err.count("rows.jsonl:") == 3
    assert "has no column" not in outcome.err
