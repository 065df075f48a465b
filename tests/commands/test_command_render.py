from __future__ import annotations

import json
from typing import Any

import pytest

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


OWN = """\
model: {name: parrot}
engine: {kind: openai_compatible, base_url: "http://127.0.0.1:9/v1"}
prompt: "{{ row.question }}"
dataset: {path: own.jsonl}
sampling:
  temperature: "{{ row.t }}"
  seed: 3
  passthrough: "{{ row.more }}"
"""
OWN_ROWS: list[dict[str, Any]] = [
    {"id": "a", "question": "1", "t": 0.5, "more": {"mirostat": 2}},
    {"id": "b", "question": "2", "t": -1, "more": {}},
    {"id": "c", "question": "3", "t": None, "more": {"model": "x"}},
    {"id": "d", "question": "4", "t": None, "more": None},
]


def own_rows(*ids: str) -> dict[str, str]:
    """Return files of an experiment with these rows of `OWN_ROWS`."""
    rows = (json.dumps(row) + "\n" for row in OWN_ROWS if row["id"] in ids)
    return {"own.yaml": OWN, "own.jsonl": "".join(rows)}


def test_render_fills_a_rows_own_sampling(project: MakeProject) -> None:
    """One that the parameter doesn't take is an error of its row, as in a run; the others are shown."""
    lines = project(own_rows(*"abcd")).ran("render", "own.yaml", "--rows", "4").lines

    shown = {
        lines[i].removeprefix("row "): [line for line in lines[i + 1 : i + 4] if line.startswith("  ")]
        for i in range(len(lines))
        if lines[i].startswith("row ")
    }
    assert shown["a"][-1] == '  sampling: temperature=0.5 passthrough={"mirostat":2}'
    assert shown["d"][-1] == "  sampling: nothing of the row's own"
    (wrong,), (filled,) = shown["b"], shown["c"]
    assert wrong.startswith("  can't be rendered: sampling.temperature: ")
    assert wrong.endswith("(the row gives -1)")
    assert filled.startswith("  can't be rendered: sampling.passthrough.model: ")
    assert lines[-1] == "sampling  temperature={{ row.t }} top_p=1.0 seed=3 passthrough={{ row.more }}"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_rows_whose_sampling_is_an_error_cant_be_rendered(
    project: MakeProject, more: tuple[str, ...]
) -> None:
    """As a run would refuse all of them."""
    made = project(own_rows(*"bc"))

    outcome = made.ran("render", "own.yaml", *more, code=2)

    assert "sampling.temperature: " in outcome.out
    assert "sampling.passthrough.model: " in outcome.out


def test_sampling_that_an_answer_fills_stays_a_template(project: MakeProject) -> None:
    """What stands in the answer's place is no value for it; what the row fills beside it is shown."""
    turns = TURNS.replace("max_tokens: 2", "max_tokens: '{{ first | length }}', seed: '{{ row.id[1:] }}'")
    made = project({"turns.yaml": turns})

    text = made.ran("render", "turns.yaml", "--rows", "1")
    lines = [json.loads(line) for line in made.ran("render", "turns.yaml", "--rows", "1", "--json").lines]

    assert "  sampling of second: max_tokens={{ first | length }} seed=0" in text.lines
    assert [line["slot"] for line in lines] == ["first", "second"]
    sampling = lines[1]["request"]["sampling"]
    assert (sampling["max_tokens"], sampling["seed"]) == ("{{ first | length }}", 0)
