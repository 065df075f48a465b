"""A line of results.jsonl can be joined and judged: what it took, where it came from, the row's columns."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet
import pytest

from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer
from tests.work.embedding_server import Embeddings

LONG = "x" * 2000
ROW = {"id": "a", "question": "one two", "answer": "1", "level": 3, "tags": ["x"], "document": LONG}
TURNS = "[{user: '{{ row.question }}'}, {generate: one}, {user: 'and three {{ row.hint }}'}, {generate: two}]"


def lines(made: Project, point: str = "0") -> list[dict[str, Any]]:
    text = (made.last.point(point) / "results.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def rows(*given: dict[str, Any]) -> dict[str, str]:
    return {"rows.jsonl": "".join(json.dumps(row) + "\n" for row in given)}


def test_line_tells_what_the_result_took(project: MakeProject) -> None:
    """Tokens, seconds, retries, and that this run sent its request."""
    made = project({})
    made.ran("run", "sums.yaml", "engine.latency=0.05", "dataset.limit=1")

    (line,) = lines(made)

    assert line["usage"] == {"prompt_tokens": 1, "completion_tokens": 1}
    assert 0.03 <= line["latency"] < 30
    assert (line["retries"], line["cached"]) == (0, False)
    assert "sources" not in line


def test_line_of_a_conversation_tells_the_sum(project: MakeProject) -> None:
    """Of all slots; where only some come from an earlier run, which ones do."""
    made = project(rows(ROW | {"hint": "x"}))
    made.ran("run", "sums.yaml", f"prompt={{turns: {TURNS}}}", "engine.latency=0.05")
    (first,) = lines(made)
    made.root.joinpath("rows.jsonl").write_text(json.dumps(ROW | {"hint": "y"}) + "\n")
    made.ran("run", "sums.yaml", f"prompt={{turns: {TURNS}}}", "engine.latency=0.05")
    (second,) = lines(made)

    assert first["usage"] == {"prompt_tokens": 2 + 7, "completion_tokens": 2 + 3}
    assert first["latency"] >= 0.08
    assert (second["cached"], second["sources"]) == (False, {"one": "cached"})


def test_line_tells_cached_from_shared(project: MakeProject) -> None:
    """An earlier run's answer, and that of an equal request of the same run."""
    made = project(
        rows({"id": "a", "question": "1", "answer": "1"}, {"id": "b", "question": "1", "answer": "1"})
    )
    made.ran("run", "sums.yaml")
    first = lines(made)
    made.ran("run", "sums.yaml")
    second = lines(made)

    assert [line.get("sources") for line in first] == [None, {"answer": "shared"}]
    assert [line["cached"] for line in (*first, *second)] == [False, False, True, True]
    assert [line["latency"] for line in first] == [line["latency"] for line in second]


@pytest.mark.parametrize(
    ("words", "row", "omitted"),
    [
        ((), {name: ROW[name] for name in ROW if name != "document"}, ["document"]),
        (("output.columns=[document,level]",), {"document": LONG, "level": 3}, None),
        (("output={columns: []}",), None, None),
    ],
    ids=["default", "chosen", "none"],
)
def test_line_has_the_rows_columns(
    project: MakeProject, words: tuple[str, ...], row: dict[str, Any] | None, omitted: list[str] | None
) -> None:
    """With their types; long ones only where they are named, and nothing is dropped in silence."""
    made = project(rows(ROW))
    made.ran("run", "sums.yaml", *words)

    (line,) = lines(made)

    assert (line.get("row"), line.get("row_omitted")) == (row, omitted)


@pytest.mark.parametrize("length", [999, 1000])
def test_column_is_long_above_a_thousand_bytes(project: MakeProject, length: int) -> None:
    """Of its JSON, quotes included."""
    made = project(rows({"id": "a", "question": "1", "answer": "1", "text": "x" * (length - 1)}))
    made.ran("run", "sums.yaml")

    (line,) = lines(made)

    assert ("text" in line["row"]) is (length + 1 <= 1000)


def test_failed_rows_have_columns_and_retries(project: MakeProject) -> None:
    """They can be joined too."""
    made = project({})
    failing = ("engine.error=server_error", "engine.error_rate=1", "engine.max_attempts=2")
    made.ran("run", "sums.yaml", *failing, "dataset.limit=2", code=3)

    assert [(line["row"]["id"], line["retries"], line["cached"]) for line in lines(made)] == [
        ("r0", 1, False),
        ("r1", 1, False),
    ]
    assert not any({"usage", "latency"} & line.keys() for line in lines(made))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("output.columns=[quesion]", "has no column 'quesion'\n    did you mean 'question'?"),
        ("output.columns=question", "expected a list"),
        ("output={colums: []}", "columns"),
        ("output.columns=[1]", "expected text"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_columns_that_are_not_there_are_refused(
    project: MakeProject, command: str, words: str, message: str
) -> None:
    """Before anything is launched; plan tells it too."""
    made = project({})

    outcome = made.ran(command, "sums.yaml", words, code=2)

    assert message in outcome.err
    assert not (made.root / "runs").exists()


def test_columns_of_csv_and_rows_without_an_id(project: MakeProject) -> None:
    """Names that clash with those of a line do no harm: columns have a place of their own."""
    made = project({"rows.csv": "question,answer,sample,error\n1,1,seven,none\n"})
    made.ran("run", "sums.yaml", "dataset={path: rows.csv, target: '{{ row.answer }}'}")

    (line,) = lines(made)

    assert line["row"] == {"question": "1", "answer": "1", "sample": "seven", "error": "none"}
    assert line["sample"] == 0


def test_vectors_have_the_rows_columns_too(project: MakeProject) -> None:
    """As JSON, beside each vector; none where none are wanted."""
    made = project({})
    words = ("run", "sums.yaml", "task=embed", "scorers=[]", "sampling={}", "dataset.limit=2")
    found = []
    with HttpServer({"/v1/embeddings": Embeddings()}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}'}}"
        for output in ("{dtype: float32}", "{columns: [answer]}", "{columns: []}"):
            made.ran(*words, engine, f"output={output}", "cache=false")
            table = pyarrow.parquet.read_table(made.last.point("0") / "vectors-00000.parquet")
            found.append([text and json.loads(text) for text in table.column("row").to_pylist()])

    assert found == [
        [{"id": "r0", "question": "0", "answer": "0"}, {"id": "r1", "question": "1", "answer": "1"}],
        [{"answer": "0"}, {"answer": "1"}],
        [None, None],
    ]
