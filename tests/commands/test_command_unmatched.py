"""A scorer that finds nothing in the answers says so: a score of 0 alone would not."""

from __future__ import annotations

import json

from tests.commands.conftest import MakeProject

BOXED = r"scorers={boxed: {kind: regex, pattern: 'boxed\{(\d)\}'}}"


def test_pattern_that_never_matches_is_told_under_the_table(project: MakeProject) -> None:
    """In run and status, right below the scores, with an answer to look at."""
    made = project({})

    ran = made.ran("run", "sums.yaml", BOXED)
    status = made.ran("status")

    line = "scorer boxed: found nothing to compare in 6 of 6 answers, such as row r0: '0'"
    for outcome in (ran, status):
        assert outcome.lines[outcome.lines.index(line) - 1].split() == [
            "0",
            "6",
            "0.000",
            "[0.000,",
            "0.390]",
        ]


def test_answers_in_which_nothing_was_found_are_counted(project: MakeProject) -> None:
    """Over all points that a scorer serves on the terminal, by point in metrics.json; samples count each."""
    rows = ["no idea", "3", "many, " * 40 + "it\nseems"]
    made = project({
        "rows.jsonl": "".join(
            json.dumps({"id": f"r{number}", "question": text, "answer": "3"}) + "\n"
            for number, text in enumerate(rows)
        )
    })

    outcome = made.ran(
        "run",
        "sums.yaml",
        "-m",
        "scorers=[numeric]",
        "samples=2",
        'prompt="{{ row.question }}"," {{ row.question }}"',
    )
    metrics = [
        json.loads(path.read_bytes())["unmatched"]
        for path in sorted(made.last.path.glob("points/*/metrics.json"))
    ]

    assert (
        "scorer numeric: found nothing to compare in 8 of 12 answers, such as row r0: 'no idea'"
        in outcome.lines
    )
    assert metrics[0] == {"numeric": {"count": 4, "id": "r0", "text": "no idea"}}


def test_of_a_long_answer_the_end_is_shown(project: MakeProject) -> None:
    """There an answer would be, on one line."""
    made = project({})

    outcome = made.ran(
        "run", "sums.yaml", "scorers=[numeric]", "engine.template=" + '"' + "so " * 90 + "it\\nis" + '"'
    )

    (line,) = [line for line in outcome.lines if line.startswith("scorer numeric:")]
    assert line.endswith("so so it\\nis'")
    assert "such as row r0: '..." in line
    assert len(line) < 170


def test_rescoring_says_where_it_found_nothing(project: MakeProject) -> None:
    """As a run does, and in its own metrics.json."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("rescore", "last", BOXED)

    assert "scorer boxed: found nothing to compare in 6 of 6 answers, such as row r0: '0'" in outcome.lines


def test_slot_that_a_scorer_looks_at_is_the_one_that_is_shown(project: MakeProject) -> None:
    """Of a conversation that isn't always the last one."""
    turns = "prompt={turns: [{user: '{{ row.question }}'}, {generate: one}, {user: 'x'}, {generate: two}]}"
    made = project({})

    outcome = made.ran("run", "sums.yaml", turns, BOXED.replace("kind:", "of: one, kind:"))

    assert any(line.endswith("such as row r0: '0'") for line in outcome.lines)


def test_scorer_that_compares_whole_answers_says_nothing(project: MakeProject) -> None:
    """Nothing is looked for in them."""
    made = project({})

    outcome = made.ran("run", "sums.yaml")

    assert "found nothing" not in outcome.out


def test_answers_that_were_cut_off_are_told_under_the_table(project: MakeProject) -> None:
    """A score of 0 may be the limit's doing: run and status say so, metrics.json counts by finish reason."""
    made = project({})

    ran = made.ran("run", "sums.yaml", "sampling.max_tokens=1", "engine.template=two words")
    status = made.ran("status")
    metrics = json.loads((made.last.path / "points" / "0" / "metrics.json").read_bytes())

    line = (
        "6 answers cut off at max_tokens or at the end of the model's context; "
        "results.jsonl says which: finish"
    )
    assert line in ran.lines
    assert line in status.lines
    assert metrics["finish"] == {"length": 6}
