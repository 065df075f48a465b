from __future__ import annotations

import json

import pytest

from tests.commands.conftest import MakeProject

ROWS = {
    "rows.jsonl": json.dumps({"question": "1", "answer": "1", "odd": [[None, True, {"a": False}]]}) + "\n"
}
ODD = '[null, true, {"a": false}]'
SERVER = "engine={kind: openai_compatible, base_url: 'http://localhost:1/v1'}"


@pytest.mark.parametrize(
    "words",
    [
        ["sampling.temperature='{{ row.odd[0] }}'"],
        ["prompt={messages: odd}"],
        ["task=complete", "prompt={token_ids: '{{ row.odd }}'}", "sampling.max_tokens=8", SERVER],
        ["dataset.id=odd"],
    ],
)
def test_what_a_row_holds_is_told_as_its_dataset_spells_it(project: MakeProject, words: list[str]) -> None:
    """Null and true of a JSONL file are not None and True in a message."""
    outcome = project(ROWS).run("render", "sums.yaml", *words, "--json")

    assert ODD in outcome.out.replace('\\"', '"') + outcome.err


def test_keys_of_a_map_on_the_command_line_stay_the_words_that_were_typed(project: MakeProject) -> None:
    """A key that YAML would take for a value is sent as it is written in a file: null, not None."""
    outcome = project({}).ran("render", "sums.yaml", SERVER, "sampling.passthrough={null: 1, true: [null]}")

    assert outcome.lines[-1].endswith('passthrough={"null":1,"true":[null]}')


def test_null_of_an_axis_is_told_where_a_point_is_refused(project: MakeProject) -> None:
    """It is no empty place."""
    outcome = project({}).ran(
        "plan", "sums.yaml", "-m", "sampling.temperature=null,1", "sampling.seed=null,-1", "--skip-refused"
    )

    assert "refused: sampling.temperature=null, sampling.seed=-1" in outcome.lines


def test_null_of_an_axis_is_told_where_points_are_compared(project: MakeProject) -> None:
    """Parity names the points by their values as one would type them."""
    words = ["--engines", "parrot,twin", "-m", "sampling.stop=null,[x]"]
    engines = {f"conf/engine/{name}.yaml": "kind: fake\n" for name in ("parrot", "twin")}

    outcome = project(engines).run("parity", "sums.yaml", *words)

    assert 'null, parrot ~ ["x"], parrot' in outcome.out
