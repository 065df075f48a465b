from __future__ import annotations

import math
from typing import Any

import pytest

from runner.drawing import Drawing
from runner.errors import RenderError
from runner.values import Row
from tests.http_server import HttpServer
from tests.work.work_kit import CHAT, Echo, Lab, served, sums


def drawn(
    sampling: dict[str, Any], row: dict[str, Any], answers: tuple[str, ...] = (), sample: int = 0
) -> Any:
    """Return what is sent for a row."""
    return Drawing(sampling, ["first"]).sampling(Row("r", 0, row), answers, sample)


def test_value_of_a_column_is_sent_as_it_is() -> None:
    """A number stays a number, a list a list; what is fixed goes along."""
    sampling = {"temperature": "{{ row.t }}", "stop": "{{ row.ends }}", "max_tokens": 8}

    assert drawn(sampling, {"t": 0.7, "ends": ["a", "b"]}) == {
        "temperature": 0.7,
        "stop": ["a", "b"],
        "max_tokens": 8,
    }


def test_text_of_a_csv_column_is_read_as_what_the_parameter_takes() -> None:
    """CSV holds text only: numbers are read, lists and maps are JSON."""
    sampling = {"temperature": "{{ row.t }}", "json_schema": "{{ row.schema }}"}
    row = {"t": "0.7", "schema": '{"type": "object"}'}

    assert drawn(sampling, row) == {"temperature": 0.7, "json_schema": {"type": "object"}}


@pytest.mark.parametrize(
    "given",
    [{"mirostat": 2, "tau": 0.5, "deep": {"on": True}}, '{"mirostat": 2, "tau": 0.5, "deep": {"on": true}}'],
)
def test_passthrough_of_a_row_keeps_its_types(given: Any) -> None:
    """As a map, or as JSON in the text of a CSV column; a map may also be built of columns."""
    passed = drawn({"passthrough": "{{ row.p }}"}, {"p": given})["passthrough"]

    assert passed == {"mirostat": 2, "tau": 0.5, "deep": {"on": True}}
    assert [type(value) for value in passed.values()] == [int, float, dict]
    built = drawn({"passthrough": "{{ {'mirostat': row.m, 'tau': row.t} }}"}, {"m": 2, "t": 0.5})
    assert built == {"passthrough": {"mirostat": 2, "tau": 0.5}}


def test_text_of_a_row_is_no_template() -> None:
    """Braces in a dataset's value are sent as they are, as the parameter takes them."""
    given = {"end": "{{ 7 }}", "form": r"\{{2}"}
    sampling = {"stop": "{{ row.end }}", "regex": "{{ row.form }}"}

    assert drawn(sampling, given) == {"stop": ["{{ 7 }}"], "regex": r"\{{2}"}


def test_bias_of_a_row_has_tokens_as_text() -> None:
    """JSON has no other keys; as numbers they were declared, and as numbers they are checked."""
    assert drawn({"logit_bias": "{{ row.b }}"}, {"b": {"5": 1, "10": 2.5}}) == {
        "logit_bias": {"5": 1.0, "10": 2.5}
    }
    with pytest.raises(RenderError, match=r"sampling\.logit_bias.*five"):
        drawn({"logit_bias": "{{ row.b }}"}, {"b": {"five": 1}})


def test_empty_column_leaves_the_parameter_out() -> None:
    """Null and empty text ask for nothing."""
    assert drawn({"seed": "{{ row.seed }}", "stop": "{{ row.end }}"}, {"seed": None, "end": ""}) == {}


def test_condition_without_else_leaves_the_parameter_out() -> None:
    """As an empty column does."""
    sampling = {"top_p": "{{ 0.5 if row.narrow }}", "choice": "{{ ['a'] if row.narrow }}"}

    assert drawn(sampling, {"narrow": False}) == {}
    assert drawn(sampling, {"narrow": True}) == {"top_p": 0.5, "choice": ["a"]}


def test_earlier_answer_may_be_used() -> None:
    """A later slot of a conversation can be bound to what the model said before."""
    assert drawn({"choice": "{{ [first, 'other'] }}"}, {}, ("yes",)) == {"choice": ["yes", "other"]}


def test_rows_that_have_no_say_share_one_map() -> None:
    """What is the same for all rows is made once."""
    drawing = Drawing({"temperature": 1.0}, [])

    assert drawing.sampling(Row("a", 0, {}), (), 0) is drawing.sampling(Row("b", 1, {}), (), 0)


def test_samples_have_seeds_of_their_own_beyond_their_choices() -> None:
    """VLLM gives the choices of one response seeds in a row, which no two samples may share."""
    assert [drawn({"seed": 10}, {}, sample=k)["seed"] for k in range(3)] == [10, 11, 12]
    assert [drawn({"seed": 10, "n": 4}, {}, sample=k)["seed"] for k in range(3)] == [10, 14, 18]


@pytest.mark.parametrize(
    ("sampling", "row", "problem"),
    [
        ({"temperature": "{{ row.t }}"}, {"t": "hot"}, r"sampling\.temperature: .*'hot'"),
        ({"max_tokens": "{{ row.t }}"}, {"t": 2**63}, r"sampling\.max_tokens: too large"),
        ({"max_tokens": "{{ row.t }}"}, {"t": "9" * 30}, r"sampling\.max_tokens: too large"),
        ({"temperature": "{{ row.t }}"}, {"t": -1}, r"sampling\.temperature: .*-1"),
        ({"stop": "{{ row.ends }}"}, {"ends": ["a", ""]}, r"sampling\.stop\.1: .*\'\'"),
        ({"temperature": "{{ row.t }}"}, {"x": 1}, r"the row has no column 't'"),
        ({"seed": "{{ row.s }}"}, {"s": "{{ 7 }}"}, r"sampling\.seed: .*'\{\{ 7 \}\}'"),
        ({"tools": "{{ row.tools }}"}, {"tools": "[{"}, r"sampling\.tools: the row's text is no JSON"),
        ({"passthrough": "{{ row.p }}"}, {"p": [1]}, r"sampling\.passthrough: .*\[1\]"),
        ({"passthrough": "{{ row.p }}"}, {"p": {"x": [2**64]}}, r"sampling\.passthrough: too large"),
        ({"passthrough": "{{ row.p }}"}, {"p": {"x": math.nan}}, r"sampling\.passthrough\.x.*: .*NaN"),
        ({"passthrough": "{{ {'x': 1e999} }}"}, {}, r"sampling\.passthrough: .*inf"),
        ({"stop_token_ids": "{{ row.p }}"}, {"p": [2**64]}, r"sampling\.stop_token_ids: too large"),
        (
            {"json_schema": "{{ row.p }}"},
            {"p": "x.json"},
            r"expected the JSON itself, not the name of a file",
        ),
        (
            {"logprobs": "{{ row.l }}", "top_logprobs": 2},
            {"l": None},
            r"sampling\.top_logprobs: needs logprobs \(the row gives none\)",
        ),
        (
            {"logprobs": "{{ row.l }}", "top_logprobs": "{{ row.top }}"},
            {"l": False, "top": 2},
            r"sampling\.top_logprobs: needs logprobs \(the row gives false\)",
        ),
        (
            {"tools": "{{ row.tools }}", "tool_choice": "auto"},
            {"tools": ""},
            r"sampling\.tool_choice: needs tools \(the row gives none\)",
        ),
        (
            {"tools": "{{ row.tools }}", "tool_choice": "{{ row.choice }}"},
            {"tools": "[]", "choice": "required"},
            r"sampling\.tool_choice: needs tools \(the row gives \[\]\)",
        ),
        (
            {"use_beam_search": "{{ row.b }}", "length_penalty": 2.0},
            {"b": None},
            r"sampling\.length_penalty: needs beam search \(the row gives none\)",
        ),
    ],
)
def test_bad_value_fails_its_row(sampling: dict[str, Any], row: dict[str, Any], problem: str) -> None:
    """The message names the parameter and what the row gives."""
    with pytest.raises(RenderError, match=problem):
        drawn(sampling, row)


def test_row_may_leave_out_both_of_what_goes_together() -> None:
    """Then nothing is asked, and a row that gives both has both."""
    sampling = {"logprobs": "{{ row.l }}", "top_logprobs": "{{ row.top }}"}

    assert drawn(sampling, {"l": None, "top": None}) == {}
    assert drawn(sampling, {"l": True, "top": 2}) == {"logprobs": True, "top_logprobs": 2}


def test_row_without_the_tools_that_a_choice_needs_is_never_asked(lab: Lab) -> None:
    """It costs that row an error; the others are asked."""
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    lab.rows([{**row, "tools": [tool] if row["q"] != "1" else None} for row in sums(3)])
    echo = Echo(lambda _: None)
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(
            engine=served(server.url("/v1")), sampling={"tools": "{{ row.tools }}", "tool_choice": "auto"}
        )

    assert (result.count.ok, result.count.errors) == (2, 1)
    assert result.lines()[1]["error"]["message"] == "sampling.tool_choice: needs tools (the row gives none)"
    assert set(echo.asked) == {"0", "2"}


def test_passthrough_of_a_row_is_sent_and_part_of_its_key(lab: Lab) -> None:
    """Rows that differ in it alone are asked apart; one that would replace what the plan shows is not."""
    rows = [{"id": str(n), "q": "1", "a": "1", "p": {"mirostat": n}} for n in range(2)]
    bad = {"temperature": 2, "model": "other", "max_completion_tokens": 1}
    rows += [{"id": name, "q": name, "a": "1", "p": {name: value}} for name, value in bad.items()]
    lab.rows([*rows, {"id": "none", "q": "2", "a": "1", "p": None}])
    echo = Echo(lambda _: None)
    with HttpServer({CHAT: echo}) as server:
        result = lab.run(engine=served(server.url("/v1")), sampling={"passthrough": "{{ row.p }}"})
        asked = [request.json() for request in server.received]

    assert sorted(str(body.get("mirostat")) for body in asked) == ["0", "1", "None"]
    assert (result.count.ok, result.count.errors) == (3, 3)
    keys = {line["keys"]["answer"] for line in result.lines() if "error" not in line}
    assert len(keys) == 3
    assert [line["error"]["message"] for line in result.lines() if "error" in line] == [
        f"sampling.passthrough.{problem} instead (the row gives it)"
        for problem in (
            "temperature: it has a key of its own; set sampling.temperature",
            "model: the runner sets it; set model.name",
            "max_completion_tokens: it has a key of its own; set sampling.max_tokens",
        )
    ]
