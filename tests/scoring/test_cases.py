"""Cases from outside: an answer, a target as a row holds it, and what is right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runner.errors import RowError
from runner.results import ScoreLine
from runner.scoring.bound import BoundScorer
from runner.scoring.registry import scorer_kinds
from runner.values import Row

CASES = Path(__file__).parent / "cases"


def cases(name: str) -> list[Any]:
    lines = (CASES / f"{name}.jsonl").read_text().splitlines()
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, lines)]


def scored(settings: dict[str, Any], answer: str, target: Any) -> ScoreLine | str:
    """Score an answer as a run does; a row error is returned as its message."""
    declared = scorer_kinds()[settings["kind"]].settings.model_validate(settings)
    bound = BoundScorer("case", declared, "{{ row.t }}", ["answer"])
    row = Row("r", 0, {"id": "r", "t": target})
    try:
        return bound.score(row, [answer], bound.early_target(row))
    except RowError as error:
        return error.message


@pytest.mark.parametrize("case", cases("numeric"))
def test_numeric_scores_each_case(case: dict[str, Any]) -> None:
    """A number is read whole or not at all; a target without one is an error of the row."""
    found = scored({"kind": "numeric", "take": "last"}, case["answer"], case["target"])

    if case["right"] == "row error":
        assert isinstance(found, str)
    else:
        assert isinstance(found, ScoreLine)
        assert found.value == (0 if case["right"] == "none" else case["right"])
        assert case["right"] != "none" or found.answer is None


@pytest.mark.parametrize("case", cases("scorers"))
def test_text_scorers_score_each_case(case: dict[str, Any]) -> None:
    """Targets keep their JSON value, and a pattern is bound by its time limit."""
    found = scored(case["scorer"], case["answer"], case["target"])

    if isinstance(case["right"], int):
        assert isinstance(found, ScoreLine)
        assert found.value == case["right"]
    elif case["right"] == "row error":
        assert isinstance(found, str)
        assert "scorers.case.target" in found
    else:
        assert isinstance(found, str) or found.value == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, "row.t is null"),
        (float("nan"), "row.t is nan"),
        ([], "row.t is an empty list"),
        (["a", None], r"row.t\[1\] is null"),
        ([["a"]], r"row.t\[0\] is a list in a list"),
        ({"text": ["a"], "start": 1}, "row.t is a map, not a target; its fields: row.t.text, row.t.start"),
    ],
)
def test_a_value_that_is_no_target_is_named(target: Any, message: str) -> None:
    """The message says what the value is, and which setting names the field to use."""
    found = scored({"kind": "exact_match"}, "a", target)

    assert isinstance(found, str)
    assert re.search(message, found)
    assert "scorers.case.target (columns: id, t)" in found


@pytest.mark.parametrize(
    ("target", "answer", "recorded"),
    [(["a", "b"], "b", ("a", "b")), (["a"], "a", "a"), (False, "false", "false"), (1e3, "1000.0", "1000.0")],
)
def test_the_target_is_recorded_as_it_was_compared(target: Any, answer: str, recorded: Any) -> None:
    """A list stays a list; other values are the text that JSON spells."""
    assert scored({"kind": "exact_match"}, answer, target) == ScoreLine(1.0, answer, recorded)


@pytest.mark.parametrize("target", [9500, 9500.0, ["none", 9500]])
def test_a_json_number_is_a_numeric_target(target: Any) -> None:
    """However JSON spells it; elements of a list without a number are passed over."""
    found = scored({"kind": "numeric"}, "9,500", target)

    assert isinstance(found, ScoreLine)
    assert found.value == 1


@pytest.mark.parametrize("target", [True, "", ["one", "two"]])
def test_numeric_needs_a_number_in_its_target(target: Any) -> None:
    """`true` is no number, and a list needs one element that holds a number."""
    found = scored({"kind": "numeric"}, "1", target)

    assert isinstance(found, str)
    assert "holds no number" in found
