"""What an answer has to obey is refused where nothing could tell whether it does."""

from __future__ import annotations

from typing import Any

import pytest

from runner.drawing import Drawing
from runner.engines.constraints import constraint_fault, require_obeyed, with_values
from runner.errors import BadRequestError, IncompleteResponseError, RenderError
from runner.values import Choice, Response, Row
from tests.engines.asking_engines import chat_request

NOWHERE = {"type": "object", "properties": {"a": {"$ref": "#/$defs/Nope"}}}
ELSEWHERE = {"$ref": "http://127.0.0.1:9/schema.json"}
HIDDEN = {"$ref": "#/parts/a", "parts": {"a": {"properties": {"b": {"$ref": "#/parts/c"}}}}}
PATTERN = {"type": "string", "pattern": "("}
TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "$ref": "#/$defs/node",
}


def checked(text: str, **constraint: Any) -> Any:
    """Return the parsed value of an answer that was checked."""
    request = chat_request(**constraint)
    response = Response((Choice(text=text, finish_reason="stop"),), engine="fake")
    require_obeyed(request, response)
    return with_values(request, response).choices[0].parsed


@pytest.mark.parametrize("schema", [NOWHERE, ELSEWHERE, HIDDEN])
def test_reference_that_leads_nowhere_is_a_fault(schema: dict[str, Any]) -> None:
    """Nothing is fetched, and a part that is only referred to is looked through too."""
    fault = constraint_fault("json_schema", schema)

    assert fault is not None
    assert "leads nowhere" in fault.problem


def test_schema_may_refer_to_itself() -> None:
    """As trees do."""
    assert constraint_fault("json_schema", TREE) is None
    assert checked('{"next": {"next": {}}}', json_schema=TREE) == {"next": {"next": {}}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("regex", "missing ("),
        ("regex", "a{99999999999999999999}"),
        ("json_schema", PATTERN),
        ("json_schema", NOWHERE),
    ],
)
def test_constraint_of_a_row_that_cant_be_checked_is_the_rows_own_error(name: str, value: Any) -> None:
    """The row is not asked, and the others go on."""
    drawing = Drawing({name: "{{ row.it }}"}, ())

    with pytest.raises(RenderError, match=f"sampling.{name}: .*the row gives it"):
        drawing.sampling(Row("a", 0, {"it": value}), (), 0)


@pytest.mark.parametrize(
    "constraint",
    [
        {"regex": "("},
        {"json_schema": NOWHERE},
        {"json_schema": ELSEWHERE},
        {"json_schema": {"properties": {"a": PATTERN}}},
        {"json_schema": {"$ref": "#"}},
    ],
)
def test_answer_that_cant_be_checked_is_a_final_error(constraint: dict[str, Any]) -> None:
    """A constraint that comes past the plan is no bug of the runner's."""
    with pytest.raises(BadRequestError, match="can't be checked"):
        checked('{"a": "b"}', **constraint)


def test_answer_too_deep_to_read_does_not_obey() -> None:
    """However many brackets a model opens."""
    with pytest.raises(IncompleteResponseError, match="the answer is no JSON"):
        checked("[" * 100_000 + "]" * 100_000, json_schema={"type": "array"})
