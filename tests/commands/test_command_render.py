from __future__ import annotations

import json

from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject
from tests.commands.test_command_plan import TURNS


def test_render_shows_roles_and_texts(project: MakeProject) -> None:
    """Each message stands with its role, and the slot with its name."""
    outcome = project({}).ran(
        "render", "sums.yaml", "prompt={system: 'Be [brief].', user: '{{ row.question }}?'}"
    )

    assert outcome.lines[2:6] == [
        "row r0",
        "  system: Be [brief].",
        "  user: 0?",
        "  assistant: <generate: answer>",
    ]


def test_render_shows_later_turns_with_placeholders(project: MakeProject) -> None:
    """What depends on an answer shows the slot's name in its place."""
    outcome = project({"turns.yaml": TURNS}).ran("render", "turns.yaml", "--rows", "1")

    assert "  user: You said: <generate: first>." in outcome.lines
    assert "sampling of second  max_tokens=2" in outcome.lines


def test_render_passes_over_rows(project: MakeProject) -> None:
    """--offset and --rows choose the rows."""
    outcome = project({}).ran("render", "sums.yaml", "--offset", "4", "--rows", "1")

    assert [line for line in outcome.lines if line.startswith("row")] == ["row r4"]


def test_render_json_gives_the_keys_that_a_run_uses(project: MakeProject) -> None:
    """The key of a rendered request is the key under which a run stores its answer."""
    made = project({})

    keys = [
        json.loads(line)["key"] for line in made.ran("render", "sums.yaml", "--rows", "6", "--json").lines
    ]
    made.ran("run", "sums.yaml")

    results = (made.last.point("0") / "results.jsonl").read_text().splitlines()
    assert keys == [json.loads(line)["keys"]["answer"] for line in results]


def test_render_shows_a_point_of_a_sweep(project: MakeProject) -> None:
    """--point takes a point by its index."""
    outcome = project({}).ran("render", "sums.yaml", "-m", "sampling.temperature=0,1", "--point", "1")

    assert "sampling  temperature=1.0" in outcome.lines


def test_render_goes_on_past_a_row_that_fails(project: MakeProject) -> None:
    """A row whose template fails is named; the others are shown."""
    rows = (
        '{"id": "a", "question": "1", "hint": "x"}\n{"id": "b", "question": "2"}\n{"id": "c", "hint": "z"}\n'
    )

    outcome = project({"rows.jsonl": rows}).ran(
        "render", "sums.yaml", "scorers=null", 'prompt="{{ row.hint }}"'
    )

    assert [line for line in outcome.lines if line.startswith("  user")] == ["  user: x", "  user: z"]
    assert "  can't be rendered: " in outcome.out


def test_rows_that_are_none_of_them_rendered_are_a_mistake(project: MakeProject) -> None:
    """One that can be is enough, as of a run."""
    made = project({"odd.yaml": SUMS.replace("{{ row.question }}", "{{ 1 // (row.question | int) }}")})

    for more in ((), ("--json",)):
        assert made.run("render", "odd.yaml", "--rows", "1", *more).code == 2
        assert made.run("render", "odd.yaml", "--rows", "2", *more).code == 0


def test_render_says_why_no_row_is_left(project: MakeProject) -> None:
    """In the words of a plan."""
    made = project({})

    told = made.ran("render", "sums.yaml", "dataset.offset=6", code=2).err

    assert "rows.jsonl has 6 rows, and offset 6 leaves none of them" in told
    assert told == made.ran("plan", "sums.yaml", "dataset.offset=6", code=2).err
    assert "the dataset has no row number 7" in made.ran("render", "sums.yaml", "--offset", "7", code=2).err
