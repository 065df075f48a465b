"""Answers to tasks that are answered with numbers: what doesn't matter is read leniently there too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.engines.base import EngineContext
from runner.engines.notes import Notes
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.errors import MalformedResponseError
from runner.spec import Model
from runner.values import Request, Response, Scope
from tests.engines.scripted_server import Reply, serving

INPUTS: dict[str, Any] = {
    "embed": "text",
    "score": {"pair": ["a", "b"]},
    "rerank": {"query": "q", "documents": ["a", "b"]},
}
DATA: dict[str, dict[str, Any]] = {
    "embed": {"data": [{"embedding": [0.5, 1], "index": 0}]},
    "score": {"data": [{"score": 1}]},
    "rerank": {"results": [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.25}]},
}


def ask(task: str, body: dict[str, Any]) -> tuple[Response, list[str]]:
    """Return the response to a request of a task, and what was noted."""

    async def go() -> tuple[Response, list[str]]:
        noted: list[str] = []
        async with serving(Reply(body)) as server:
            context = EngineContext(notes=Notes(noted.append))
            async with KIND.create(OpenAICompatible(base_url=server.url), Model(name="m"), context) as engine:
                return await engine.generate(Request(task, INPUTS[task], {}, Scope({}, {}))), noted

    return asyncio.run(go())


@pytest.mark.parametrize("task", INPUTS)
@pytest.mark.parametrize(
    ("usage", "tokens"),
    [({"prompt_tokens": 7.0}, 7), ({"prompt_tokens": 0.5}, None), ([], None), ("n/a", None), (None, None)],
)
def test_odd_usage_does_not_cost_the_numbers(task: str, usage: Any, tokens: int | None) -> None:
    """A count that is none is unknown."""
    response, _ = ask(task, {**DATA[task], "usage": usage, "error": None})

    assert response.usage.prompt_tokens == tokens
    assert response.embeddings or response.scores


def test_index_as_text_and_missing() -> None:
    """Both say where a result belongs."""
    text = {"results": [{"index": "1", "score": 0.5}, {"index": 0.0, "score": 0.25}]}

    assert ask("rerank", text)[0].scores == (0.25, 0.5)
    assert ask("embed", {"data": [{"embedding": [0.5], "index": "0"}]})[0].embeddings


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("embed", {"data": [{"embedding": None}]}),
        ("embed", {"data": [{"embedding": ["x"]}]}),
        ("score", {"data": [{"score": "high"}]}),
        ("rerank", {"results": [{"index": "a", "score": 0.5}]}),
        ("rerank", {"results": [{"score": 0.5}, {"score": 0.25}]}),
    ],
)
def test_numbers_themselves_are_read_strictly(task: str, body: dict[str, Any]) -> None:
    """They are what was asked for."""
    with pytest.raises(MalformedResponseError):
        ask(task, body)


def test_number_that_no_vector_can_hold_is_the_servers_fault() -> None:
    """Vectors are float32."""
    with pytest.raises(MalformedResponseError, match="float32"):
        ask("embed", {"data": [{"embedding": [0.5, 1e39]}]})


def test_vector_with_a_gap_is_not_read_as_text() -> None:
    """Its other numbers, one after the other, may look like base64."""
    with pytest.raises(MalformedResponseError, match="embedding"):
        ask("embed", {"data": [{"embedding": [None, *range(10, 18)]}]})
