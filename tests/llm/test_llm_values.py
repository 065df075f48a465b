"""Scores, rankings, classes, rewards and likelihoods, asked from code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from runner import LLM
from runner.errors import ConfigError, InputError
from tests.http_server import HttpServer
from tests.llm.values_server import endpoints
from tests.work.work_kit import Lab

pytestmark = pytest.mark.usefixtures("lab")

ROWS = [{"id": "a", "q": "abc", "a": "b"}, {"id": "b", "q": "abcdef", "a": "bcd"}]
UNFIT: Any = 5
"""Nothing that a text could be made of."""

TASKS: dict[str, tuple[dict[str, Any], Any]] = {
    "score": ({"prompt": {"pair": ["{{ row.q }}", "{{ row.a }}"]}}, [0.25, 0.75]),
    "rerank": (
        {"prompt": {"query": "{{ row.q }}", "documents": ["{{ row.a }}", "xx"]}},
        [[0.25, 0.5], [0.75, 0.5]],
    ),
    "classify": ({}, [{"label": "short", "probs": [1.0, 0.0]}, {"label": "long", "probs": [0.0, 1.0]}]),
    "reward": ({}, [0.75, 1.5]),
    "loglikelihood": (
        {"prompt": {"context": "{{ row.q }}", "continuations": ["{{ row.a }}"]}},
        [[{"logprob": -float(n), "tokens": n, "greedy": True}] for n in (1, 3)],
    ),
}
"""Task -> keys of an experiment that asks it of each row, and its values."""


@pytest.fixture
def vllm() -> Iterator[HttpServer]:
    """A server with all tasks of vLLM's."""
    with HttpServer(endpoints()) as running:
        yield running


def pooler(running: HttpServer, **keys: Any) -> LLM:
    """Return the lab's model on vLLM at an address."""
    return LLM({"name": "m"}, engine={"kind": "vllm", "base_url": running.url("/v1")}, **keys)


def asked(llm: LLM, task: str) -> list[Any]:
    """Return the task's values of all rows."""
    match task:
        case "score":
            return llm.score_sync([(row["q"], row["a"]) for row in ROWS], progress=False)
        case "rerank":
            return [llm.rerank_sync(row["q"], [row["a"], "xx"]) for row in ROWS]
        case "classify":
            return llm.classify_sync((row["q"] for row in ROWS), progress=False)
        case "reward":
            return llm.reward_sync([row["q"] for row in ROWS], progress=False)
    return [llm.loglikelihood_sync(row["q"], [row["a"]]) for row in ROWS]


@pytest.mark.parametrize("task", TASKS)
def test_other_values_are_an_experiments_own(lab: Lab, vllm: HttpServer, task: str) -> None:
    """They are those of its results.jsonl, found in the cache, and the same where they are asked anew."""
    keys, values = TASKS[task]
    lab.rows(ROWS)
    engine = {"kind": "vllm", "base_url": vllm.url("/v1")}
    result = lab.run(task=task, engine=engine, scorers={}, **keys)
    assert [line["value"] for line in result.lines()] == values
    sent = len(vllm.received)

    with pooler(vllm) as llm:
        assert asked(llm, task) == values
    assert len(vllm.received) == sent

    with pooler(vllm, cache=False) as llm:
        assert asked(llm, task) == values
    assert len(vllm.received) == 2 * sent


def test_every_task_is_awaited_too(vllm: HttpServer) -> None:
    """One LLM does all that its server does, text included, for one input and for many."""

    async def ask() -> list[Any]:
        async with pooler(vllm, task="complete") as llm:
            return [
                (await llm.generate("x", max_tokens=8)).text,
                await llm.score(("a", "bcd")),
                await llm.score([["a", "bcd"]], progress=False),
                await llm.rerank("q", ("a", "bcd")),
                await llm.classify("abcdef"),
                await llm.reward("abcd"),
                await llm.loglikelihood("a", ["b"]),
            ]

    text, *numbers = asyncio.run(ask())

    assert text == "x"
    assert numbers[:3] == [0.75, [0.75], [0.25, 0.75]]
    assert numbers[3:5] == [{"label": "long", "probs": [0.0, 1.0]}, 1.0]
    assert numbers[5] == [{"logprob": -1.0, "tokens": 1, "greedy": True}]


def test_reward_takes_conversations(vllm: HttpServer) -> None:
    """A list that begins with a message is one input; many may be mixed with texts."""
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "ab"}]
    with pooler(vllm) as llm:
        assert llm.reward_sync(talk) == 0.5
        assert llm.reward_sync([talk, "abcd"], progress=False) == [0.5, 1.0]

    assert [one.json().get("messages") for one in vllm.received] == [talk, None]


@pytest.mark.parametrize(
    ("task", "able"), [("embed", "vllm"), ("score", "vllm"), ("classify", "vllm"), ("reward", "sglang")]
)
def test_task_that_an_engine_cannot_do_is_refused(task: str, able: str) -> None:
    """The error is a plan's, names the engines that can, and comes before an input is taken."""

    def inputs() -> Iterator[Any]:
        yield pytest.fail("taken")

    said = rf"engine fake can't do {task}\n    can: .*{able}"
    with LLM("fake:m") as llm, pytest.raises(ConfigError, match=said):
        getattr(llm, f"{task}_sync")(inputs())


def test_engine_without_log_probabilities_is_refused() -> None:
    """Tasks with named texts are refused like the others."""
    with LLM("fake:m") as llm, pytest.raises(ConfigError, match=r"can't do loglikelihood\n    can: .*vllm"):
        llm.loglikelihood_sync("a", ["b"])


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("embed", (UNFIT,), "input: expected text, not 5"),
        ("embed", ([["a"]],), r"input: expected text, not \['a'\]"),
        ("score", (("a", "b", "c"),), r"pair: expected a pair of texts, not \('a', 'b', 'c'\)"),
        ("score", (["ab"],), r"pair: expected a pair of texts, not \['ab'\]"),
        ("score", ("ab",), "pair: expected a pair of texts, not 'ab'"),
        ("rerank", ("q", "documents"), "documents: expected a list of texts, not 'documents'"),
        ("rerank", (UNFIT, ["a"]), "query: expected text, not 5"),
        ("reward", ([{"role": "usr", "content": "x"}],), "did you mean 'user'"),
        ("loglikelihood", ("a", []), r"continuations: expected a list of texts, not \[\]"),
    ],
)
def test_unfit_input_is_told(vllm: HttpServer, task: str, given: tuple[Any, ...], said: str) -> None:
    """Nothing is sent of what the task can't be asked of."""
    with pooler(vllm) as llm, pytest.raises(InputError, match=said):
        getattr(llm, f"{task}_sync")(*given)
    assert not vllm.received
