"""A secret in a row is refused, or reported where it is short; an echoed one is masked in any form."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.commands.conftest import MakeProject
from tests.http_server import Exchange, HttpServer

KEY = 'sk-proj/0123"4567&89ab'
BASIC = base64.b64encode(f"user:{KEY}".encode()).decode()
FORMS = {
    "plain": KEY,
    "url": quote(KEY, safe=""),
    "base64": f"Basic {BASIC}",
    "numbers": "".join(f"&#{ord(one)};" for one in KEY),
    "hexadecimal": KEY.encode().hex(),
}
EXPERIMENT = """\
model: {name: parrot}
engine: {kind: openai_compatible, base_url: "http://127.0.0.1:9/v1", api_key_env: SERVICE}
prompt: "{{ row.q }}"
dataset: {path: DATA}
cluster: inline
"""


def _lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("command", ["run", "plan", "render"])
@pytest.mark.parametrize("form", FORMS)
def test_secret_in_a_row_is_refused(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, command: str, form: str
) -> None:
    """It names the file, the row, the column and the variable, not the value; nothing is written."""
    monkeypatch.setenv("SERVICE", KEY)
    rows = _lines({"q": "fine"}, {"q": "fine", "deep": {"list": [1, f"the key: {FORMS[form]}."]}})
    made = project({"e.yaml": EXPERIMENT.replace("DATA", "d.jsonl"), "d.jsonl": rows})
    refused = made.ran(command, "e.yaml", code=2)

    assert "d.jsonl:2: column 'deep.list[1]' holds the value of SERVICE" in refused.err
    assert FORMS[form] not in refused.out + refused.err
    assert not (made.root / "runs").exists()


@pytest.mark.parametrize(
    ("row", "column"),
    [({"q": "x", KEY: 1}, "column '***'"), ({"q": "x", "a": {f"k {KEY}": 1}}, "column 'a.k ***'")],
    ids=["column", "key"],
)
def test_name_of_a_column_is_looked_at(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, row: dict[str, object], column: str
) -> None:
    monkeypatch.setenv("SERVICE", KEY)
    made = project({"e.yaml": EXPERIMENT.replace("DATA", "d.jsonl"), "d.jsonl": _lines(row)})

    assert f"d.jsonl:1: {column} holds the value of SERVICE" in made.ran("run", "e.yaml", code=2).err


def test_variable_that_nothing_names_counts(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a configuration: if its name says secret."""
    monkeypatch.setenv("SOME_TOKEN", KEY)
    made = project({"rows.jsonl": _lines({"id": 1, "question": KEY, "answer": "x"})})

    assert "column 'question' holds the value of SOME_TOKEN" in made.ran("run", "sums.yaml", code=2).err


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_other_formats_are_looked_at(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    """Bytes too."""
    monkeypatch.setenv("SERVICE", KEY)
    made = project({"e.yaml": EXPERIMENT.replace("DATA", f"d.{format_}")})
    file = made.root / f"d.{format_}"
    if format_ == "csv":
        with file.open("w") as out:
            csv.writer(out).writerows([["q", "c"], ["fine", "x"], ["fine", f"a {KEY} b"]])
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"q": ["fine", "fine"], "c": [b"x", f"a {KEY} b".encode()]}), file)
    refused = made.ran("run", "e.yaml", code=2)

    assert "column 'c' holds the value of SERVICE" in refused.err
    assert KEY not in refused.err


def test_every_such_row_is_told_up_to_ten(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE", KEY)
    rows = _lines(*({"q": KEY} for _ in range(13)))
    made = project({"e.yaml": EXPERIMENT.replace("DATA", "d.jsonl"), "d.jsonl": rows})
    refused = made.ran("run", "e.yaml", code=2)

    assert refused.err.count("holds the value of SERVICE") == 10
    assert "and 3 more" in refused.err


def _read(folder: Path) -> bytes:
    kept = [path for path in folder.rglob("*") if path.is_file() and "inputs" not in path.parts]
    return b"".join(path.read_bytes() for path in kept)


async def _echo(exchange: Exchange) -> None:
    """Answer with the key that was sent, in the form that the row asks for."""
    form = exchange.request.json()["messages"][-1]["content"].split()[0]
    said = FORMS.get(form, "hunter22")
    if form == "refused":
        await exchange.answer(json.dumps({"error": {"message": "; ".join(FORMS.values())}}).encode(), 400)
        return
    choice = {"message": {"content": f"it is {said}"}, "finish_reason": "stop"}
    await exchange.answer(json.dumps({"choices": [choice], "model": said}).encode())


def test_short_secret_is_reported_and_masked(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent, since it may be a word like any other."""
    monkeypatch.setenv("SERVICE", "hunter22")
    with HttpServer({"/v1/chat/completions": _echo}) as server:
        experiment = EXPERIMENT.replace("DATA", "d.jsonl").replace("http://127.0.0.1:9/v1", server.url("/v1"))
        made = project({"e.yaml": experiment, "d.jsonl": _lines({"q": "my hunter22"}, {"q": "hunter22"})})
        ran = made.ran("run", "e.yaml")
        sent = [one.json()["messages"][-1]["content"] for one in server.received]

    warning = "d.jsonl:1: column 'q' holds the value of SERVICE; so do other rows: it is sent as it is"
    assert ran.err.count(warning) == 1
    assert sorted(sent) == ["hunter22", "my hunter22"]
    assert b"hunter22" not in _read(made.root / "runs" / "e")


def test_echo_is_masked_in_every_form(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """In answers, in errors and in what is printed of them."""
    monkeypatch.setenv("SERVICE", KEY)
    rows = [{"id": form, "q": f"{form} please"} for form in [*FORMS, "refused"]]
    with HttpServer({"/v1/chat/completions": _echo}) as server:
        experiment = EXPERIMENT.replace("DATA", "d.jsonl").replace("http://127.0.0.1:9/v1", server.url("/v1"))
        made = project({"e.yaml": experiment, "d.jsonl": _lines(*rows)})
        ran = made.ran("run", "e.yaml", code=3)
    written = _read(made.root / "runs").decode(errors="replace") + ran.out + ran.err
    lines = (made.last.path / "points" / "0" / "results.jsonl").read_text().splitlines()
    answers = [json.loads(line)["slots"]["answer"] for line in lines[:-1]]

    assert not any(form in written for form in (*FORMS.values(), BASIC[8:-4]))
    assert answers[:2] == ["it is ***", "it is ***"]
    assert [answer.count("***") for answer in answers] == [1] * len(FORMS)
    assert "***; ***; Basic " in written
