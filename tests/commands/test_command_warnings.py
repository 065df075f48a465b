"""What a plan may do and nobody means is warned of before it is paid for."""

from __future__ import annotations

import json

import pytest

from tests.commands.commands_kit import Outcome
from tests.commands.conftest import MakeProject

CONSTANT = 'prompt.user="Say something."'
SAME = "the prompt uses no column, so all 6 rows send the same request"
EQUAL = "samples: 3 at temperature 0: the answers to a row are equal, and each is paid for"


def warned(outcome: Outcome) -> list[str]:
    return [line.removeprefix("warning: ") for line in outcome.lines if line.startswith("warning: ")]


def test_prompt_without_a_column_is_warned_of(project: MakeProject) -> None:
    """By plan, with its JSON, by run, and in what the run's folder keeps."""
    made = project({})

    for command in ("plan", "run"):
        (line,) = warned(made.ran(command, "sums.yaml", CONSTANT))
        assert line.startswith(SAME)
    (point,) = made.ran("plan", "sums.yaml", CONSTANT, "--json").json["points"]
    assert point["warnings"] == [line]
    resolved = json.loads((made.last.path / "resolved.json").read_text())
    assert f"warning: {line}" in resolved["points"][0]["notes"]


def test_prompt_without_a_column_is_warned_of_where_rows_are_not_counted(project: MakeProject) -> None:
    """Without their number, and unless the limit leaves one."""
    made = project({})

    (line,) = warned(made.ran("plan", "sums.yaml", CONSTANT, "--no-count"))
    assert line.startswith("the prompt uses no column, so every row sends the same request")
    assert not warned(made.ran("plan", "sums.yaml", CONSTANT, "--no-count", "dataset.limit=1"))


@pytest.mark.parametrize("override", ["dataset.limit=1", "dataset.path=one.jsonl", "dataset.offset=5"])
def test_one_row_may_have_a_prompt_without_a_column(project: MakeProject, override: str) -> None:
    """However the dataset comes to have one row."""
    made = project({"one.jsonl": '{"id": "r0", "answer": "1"}\n'})

    assert not warned(made.ran("plan", "sums.yaml", CONSTANT, override))
    assert not warned(made.ran("run", "sums.yaml", CONSTANT, override))


@pytest.mark.parametrize(
    "prompt",
    [
        "{user: '{{ row.question }}'}",
        "{user: '{{ row | tojson }}'}",
        "{user: \"{{ row.absent | default('x') }}\"}",
        "{system: '{{ row.id }}', user: constant}",
        "{turns: [{user: constant}, {generate: one}, {user: '{{ row.id }}'}]}",
        "{messages: talk}",
        "parts",
    ],
)
def test_prompt_that_uses_its_row_is_not_warned_of(project: MakeProject, prompt: str) -> None:
    """In any turn, through a filter, as a whole, in an included file, as the row's own messages."""
    made = project({
        "rows.jsonl": "".join(
            json.dumps({"id": f"r{n}", "question": f"q{n}", "answer": "1", "talk": [f"t{n}"]}) + "\n"
            for n in range(2)
        ),
        "templates/parts/user.j2": "{% include 'part.j2' %}",
        "templates/parts/part.j2": "{{ row.question }}",
    })

    assert not warned(made.ran("plan", "sums.yaml", f"prompt={prompt}"))


def test_rows_may_differ_in_their_sampling(project: MakeProject) -> None:
    """Requests differ then, and the prompt is the same for all rows still."""
    made = project({})

    turns = "prompt={turns: [{user: x}, {generate: {as: one, stop: '{{ row.id }}'}}]}"

    for override in (["sampling.stop='{{ row.id }}'", CONSTANT], [turns]):
        (line,) = warned(made.ran("plan", "sums.yaml", *override))
        assert line.startswith("the prompt uses no column, so all 6 rows send the same prompt;")


def test_samples_at_temperature_0_are_warned_of(project: MakeProject) -> None:
    """By plan and run; one sample, or another temperature, is no reason to."""
    made = project({})

    for command in ("plan", "run"):
        assert warned(made.ran(command, "sums.yaml", "samples=3")) == [EQUAL]
    assert not warned(made.ran("plan", "sums.yaml", "samples=1"))
    assert not warned(made.ran("plan", "sums.yaml", "samples=3", "sampling.temperature=0.1"))


def test_temperature_that_is_not_sent_or_not_known_is_not_warned_of(project: MakeProject) -> None:
    """A model may omit it, and a row may say it."""
    made = project({})

    assert not warned(made.ran("plan", "sums.yaml", "samples=3", "model.omit=[temperature]"))
    assert not warned(made.ran("plan", "sums.yaml", "samples=3", "sampling.temperature='{{ row.answer }}'"))


def test_points_of_a_sweep_that_are_warned_of_are_counted(project: MakeProject) -> None:
    """A warning that doesn't go for all of them says for how many."""
    made = project({})

    outcome = made.ran("plan", "sums.yaml", "-m", "samples=1,3", "sampling.temperature=0,1")

    assert warned(outcome) == [f"{EQUAL} (1 of 4 points)"]


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ("{as: one}", "{as: two}", "the answers to a row"),
        ("{as: one}", "{as: two, temperature: 1}", "the answers of one to a row"),
        ("{as: one, temperature: 1}", "{as: two}", None),
        ("{as: one, temperature: 1}", "{as: two, temperature: 1}", None),
    ],
)
def test_slots_have_temperatures_of_their_own(
    project: MakeProject, first: str, second: str, answers: str | None
) -> None:
    """Answers are equal up to the first that is drawn: those after it depend on it."""
    made = project({})
    turns = ["{user: '{{ row.id }}'}", f"{{generate: {first}}}", "{user: x}", f"{{generate: {second}}}"]

    lines = warned(made.ran("plan", "sums.yaml", "samples=3", f"prompt={{turns: [{', '.join(turns)}]}}"))

    expected = [f"samples: 3 at temperature 0: {answers} are equal, and each is paid for"]
    assert lines == (expected if answers else [])
