"""Tasks that are answered with numbers, from rows to lines and scores."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.commands.rescoring import rescore, rescored_points
from runner.start import jobs_of
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import Lab, Result

LABELS = ("short", "long")


async def classify(exchange: Exchange) -> None:
    """Tell short texts from long ones."""
    far = len(exchange.request.json()["input"]) > 4
    data = [{"index": 0, "label": LABELS[far], "probs": [1.0 - far, float(far)], "num_classes": 2}]
    await exchange.answer(json.dumps({"data": data, "usage": {"prompt_tokens": 1}}).encode())


async def complete(exchange: Exchange) -> None:
    """Complete like vLLM with a token a character, of which digits are likely and all others are not."""
    body = exchange.request.json()
    ids = [ord(character) for character in body["prompt"]]
    told: list[Any] = [None]
    for token in ids[1:]:
        rank = 1 if chr(token).isdecimal() else 2
        told.append({str(token): {"logprob": -1.0 * rank, "rank": rank}, "32": {"logprob": -1.0, "rank": 1}})
    choice = {"index": 0, "text": "x", "finish_reason": "length", "token_ids": [1], "prompt_token_ids": ids}
    choice["prompt_logprobs"] = told if "prompt_logprobs" in body else None
    await exchange.answer(json.dumps({"choices": [choice], "usage": {"prompt_tokens": len(ids)}}).encode())


def run(lab: Lab, server: HttpServer, **keys: Any) -> Result:
    """Run the lab's rows through vLLM at the server's address."""
    return lab.run(engine={"kind": "vllm", "base_url": server.url("/v1")}, **keys)


def rows(lab: Lab) -> None:
    """Write two rows of different length, both said to be short."""
    lab.rows([
        {"id": "a", "q": "abc", "a": "short", "n": "1"},
        {"id": "b", "q": "abcdef", "a": "short", "n": "0"},
    ])


def test_classes_are_lines_and_scores(lab: Lab) -> None:
    """A line has label and probabilities; exact_match compares the label."""
    rows(lab)
    with HttpServer({"/classify": classify}) as server:
        result = run(lab, server, task="classify")

    assert [line["value"] for line in result.lines()] == [
        {"label": "short", "probs": [1.0, 0.0]},
        {"label": "long", "probs": [0.0, 1.0]},
    ]
    assert "slots" not in result.lines()[0]
    assert result.metrics()["scores"]["exact"]["mean"]["value"] == 0.5


def test_stored_classes_are_scored_anew(lab: Lab) -> None:
    """Rescore reads the label from the line; no request is sent."""
    rows(lab)
    with HttpServer({"/classify": classify}) as server:
        result = run(lab, server, task="classify")
    assert len(jobs_of(result.run)) == 1

    (point,) = rescored_points(result.run, ["scorers.exact.target=long"])
    outcome = rescore(result.run, point, lab.folder / "anew")

    assert outcome.scores["exact"]["mean"]["value"] == 0.5
    lines = (lab.folder / "anew" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["scores"]["exact"]["value"] for line in lines] == [0.0, 1.0]


@pytest.mark.parametrize(("normalize", "mean"), [("none", 0.5), ("tokens", 1.0)])
def test_loglikelihoods_are_lines_and_scores(lab: Lab, normalize: str, mean: float) -> None:
    """Of "x" (-2) and "1234" (-4) the first is likelier, by the token the second."""
    lab.rows([
        {"id": "a", "q": "q:", "a": "1"},
        {"id": "b", "q": "q:", "a": "1" if normalize == "tokens" else "0"},
    ])
    with HttpServer({"/v1/completions": complete}) as server:
        result = run(
            lab,
            server,
            task="loglikelihood",
            prompt={"context": "{{ row.q }}", "continuations": ["x", "1234"]},
            scorers={"best": {"kind": "loglikelihood", "normalize": normalize}},
        )

    assert result.lines()[0]["value"] == [
        {"logprob": -2.0, "tokens": 1, "greedy": False},
        {"logprob": -4.0, "tokens": 4, "greedy": True},
    ]
    assert result.metrics()["scores"]["best"]["mean"]["value"] == mean
