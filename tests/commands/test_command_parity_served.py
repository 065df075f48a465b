"""The same weights here and behind an address, where they have another name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from runner.engines.mistralrs import KIND as MISTRALRS
from runner.shipped import shipped
from tests.commands.adding_server import Adding
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer
from tests.work.work_kit import CHAT, Echo

pytestmark = pytest.mark.skipif(MISTRALRS.missing() is not None, reason="mistralrs is not installed")

QUESTIONS = [f"{a}+{a + 21}" for a in range(31, 37)]
FILES = {
    "rows.jsonl": "".join(json.dumps({"id": q, "question": q}) + "\n" for q in QUESTIONS),
    "sums.yaml": f"""\
model: {{name: {shipped() / "models" / "tiny"}}}
engine: mistralrs
prompt: "{{{{ row.question }}}}"
dataset: {{path: rows.jsonl}}
sampling: {{max_tokens: 8}}
cluster: inline
""",
}


def engine(server: HttpServer, name: str = "tiny-served") -> str:
    return f"{{kind: openai_compatible, base_url: '{server.url('/v1')}', served_model_name: {name}}}"


@pytest.fixture
def adding() -> Iterator[tuple[HttpServer, Adding]]:
    served = Adding("tiny-served")
    with HttpServer({CHAT: served}) as server:
        yield server, served


def test_folder_of_weights_is_compared_with_a_server_of_it(
    project: MakeProject, adding: tuple[HttpServer, Adding]
) -> None:
    """Settings of one engine stand in --engines; the server is asked by its own name for the model."""
    server, served = adding

    outcome = project(FILES).ran("parity", "sums.yaml", "--engines", f"mistralrs,{engine(server)}")

    assert outcome.lines[-1].split() == ["mistralrs", "~", "openai_compatible", "6/6", "token", "-"]
    assert served.asked == {(question, True): 1 for question in QUESTIONS}


def test_two_engines_of_one_kind_are_told_by_their_settings(
    project: MakeProject, adding: tuple[HttpServer, Adding]
) -> None:
    """Two names at one address share no answers."""
    server, served = adding
    engines = f"{engine(server)},{engine(server, 'other')}"

    outcome = project(FILES).ran("parity", "sums.yaml", "--engines", engines, code=1)

    assert served.asked.total() == 6
    assert "The model `other` does not exist" in outcome.out


def test_folder_that_would_be_sent_as_a_name_is_refused(project: MakeProject) -> None:
    """The message says how a server that serves it is asked."""
    words = [
        "sums.yaml",
        "model={name: models/tiny}",
        "engine={kind: openai_compatible, base_url: 'http://h:1'}",
    ]

    outcome = project(FILES).ran("plan", *words, code=2)

    assert "if it serves models/tiny, say by which name: engine.served_model_name=..." in outcome.err


def test_engines_that_cant_be_read_are_refused(project: MakeProject) -> None:
    """The message shows what was given."""
    outcome = project(FILES).ran("parity", "sums.yaml", "--engines", "mistralrs,{kind: fake", code=2)

    assert "the value mistralrs,{kind: fake can't be read" in outcome.err


def test_engine_without_log_probabilities_is_compared_by_text(project: MakeProject) -> None:
    """It isn't asked for them; the other still tells how near it was to the answer that it didn't give."""
    served = Adding("tiny-served", {"33+54": "88"})
    with HttpServer({CHAT: served}) as server:
        other = engine(server).replace("openai_compatible", "candle_vllm")
        outcome = project(FILES).ran("parity", "sums.yaml", "--engines", f"mistralrs,{other}", code=1)

    assert set(served.asked) == {(question, False) for question in QUESTIONS}
    assert "5/6" in outcome.lines[-2]
    assert "33+54, character 1: '7' / '8'" in outcome.lines[-2]
    gap, _, theirs = outcome.lines[-2].split()[-3:]
    assert float(gap) > 0
    assert theirs == "?"
    assert outcome.lines[-1] == "no log probabilities, so that gaps are unknown: candle_vllm"


def test_server_that_drops_log_probabilities_is_compared_by_text(project: MakeProject) -> None:
    """That it does is an error of its rows, which says what helps; only the server is asked again then."""
    made = project(FILES)
    served = Adding("tiny-served", tells=False)
    with HttpServer({CHAT: served}) as server:
        words = ["parity", "sums.yaml", "--engines", f"mistralrs,{engine(server)}"]
        refused = made.ran(*words, code=3)
        outcome = made.ran(*words, "--no-logprobs", "openai_compatible")

    assert refused.lines[-1].endswith("are compared by text: --no-logprobs openai_compatible")
    assert "6 of 12 answers cached" in outcome.out
    assert "mistralrs ~ openai_compatible  6/6   text" in outcome.lines[-2]


def test_only_rows_that_lack_log_probabilities_bring_that_advice(project: MakeProject) -> None:
    """Not others that lack something, whatever their message names."""
    file = FILES["sums.yaml"].replace("max_tokens: 8", "json_schema: {required: [logprobs]}")
    rows = json.dumps({"id": "r", "question": "{}"})
    with HttpServer({CHAT: Echo()}) as server:
        engines = f"{engine(server, 'a')},{engine(server, 'b')}"
        words = ["--engines", engines, "--no-logprobs", "openai_compatible"]
        outcome = project({"rows.jsonl": rows, "sums.yaml": file}).ran("parity", "sums.yaml", *words, code=3)

    assert "2 x IncompleteResponseError" in outcome.out
    assert "'logprobs'" in outcome.out
    assert "--no-logprobs" not in outcome.out
