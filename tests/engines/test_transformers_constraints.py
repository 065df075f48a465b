"""Answers of transformers that are kept to a JSON Schema, a regular expression or a list of choices."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from runner.errors import BadRequestError
from tests.engines.asking_engines import chat_request
from tests.engines.asking_transformers import GREEDY, ask

pytest.importorskip("torch")
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def test_rows_of_one_batch_obey_each_its_own_constraint() -> None:
    """Whatever the model would have said; a neighbour that is free says what it would say alone."""
    schema, regex, choice, free = ask(
        chat_request("37+48 as JSON", **GREEDY, json_schema=_SCHEMA),
        chat_request("37+48", **GREEDY, regex="[a-c]{3}"),
        chat_request("37+48", **GREEDY, choice=["84", "85", "a.b|c"]),
        chat_request("37+48", **GREEDY),
    )

    assert schema.choices[0].parsed == json.loads(schema.text) == {"answer": 85}
    assert re.fullmatch("[a-c]{3}", regex.text)
    assert choice.choices[0].parsed == "85"
    assert (free.text, free.choices[0].parsed) == ("85", None)
    assert [r.choices[0].finish_reason for r in (schema, regex, choice)] == ["stop"] * 3


def test_choices_of_a_request_are_drawn_independently_under_a_constraint() -> None:
    """Each row follows its own copy of the grammar."""
    (response,) = ask(chat_request("roll", temperature=2.0, n=60, seed=1, regex="(1|2|34)", max_tokens=5))

    assert {choice.text for choice in response.choices} == {"1", "2", "34"}


def test_constraint_that_allows_only_the_end_comes_before_min_tokens() -> None:
    """There is no token left that it could go on with."""
    (response,) = ask(chat_request("37+48", **GREEDY, choice=["84", "85"], min_tokens=9))

    assert (response.text, response.choices[0].parsed) == ("85", "85")


def test_answer_that_is_cut_off_is_not_parsed() -> None:
    """It is given as far as it came."""
    (response,) = ask(chat_request("37+48", temperature=0.0, max_tokens=2, regex="[a-c]{3}"))

    assert (response.choices[0].finish_reason, response.choices[0].parsed) == ("length", None)
    assert re.fullmatch("[a-c]{2}", response.text)


@pytest.mark.parametrize(
    ("name", "value"), [("json_schema", {"type": "foo"}), ("regex", r"(a)\1"), ("regex", "(?=a)b")]
)
def test_constraint_that_no_grammar_can_express_is_the_rows_fault(name: str, value: Any) -> None:
    """In one line, with what the library says of it."""
    with pytest.raises(BadRequestError, match=f"can't be kept to {name}: ."):
        ask(chat_request("1+1", **GREEDY, **{name: value}))
