"""Prompts of tasks that send named texts, and of those that send one text."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import ConfigError, RenderError
from runner.prompts import compile_prompt, resolve_prompt
from runner.spec import Prompt
from runner.values import Row

ROW = Row("1", 0, {"q": "why?", "docs": ["a", "b"], "json": '["c", "d"]', "n": 3, "turns": ["x", "y", "z"]})


def sent(task: str, prompt: dict[str, Any], row: Row = ROW) -> Any:
    """Return what a prompt sends for a row."""
    return compile_prompt(resolve_prompt(Prompt.model_validate(prompt), []), task).input(row, [])


@pytest.mark.parametrize(
    ("task", "prompt", "expected"),
    [
        ("score", {"pair": ["{{ row.q }}", "n={{ row.n }}"]}, {"pair": ["why?", "n=3"]}),
        (
            "rerank",
            {"query": "{{ row.q }}", "documents": "{{ row.docs }}"},
            {"query": "why?", "documents": ["a", "b"]},
        ),
        ("rerank", {"query": "q", "documents": "{{ row.json }}"}, {"query": "q", "documents": ["c", "d"]}),
        (
            "loglikelihood",
            {"context": "{{ row.q }}", "continuations": [" yes", " {{ row.n }}"]},
            {"context": "why?", "continuations": [" yes", " 3"]},
        ),
        ("embed", {"user": "text: {{ row.q }}"}, "text: why?"),
        ("classify", {"user": "{{ row.q }}"}, "why?"),
        ("reward", {"user": "{{ row.q }}"}, "why?"),
        (
            "reward",
            {"turns": [{"user": "{{ row.q }}"}, {"assistant": "because"}]},
            ({"role": "user", "content": "why?"}, {"role": "assistant", "content": "because"}),
        ),
    ],
)
def test_each_task_sends_its_own_form(task: str, prompt: dict[str, Any], expected: Any) -> None:
    """Lists come from one expression, from JSON text, or from several templates."""
    assert sent(task, prompt) == expected


@pytest.mark.parametrize(
    ("task", "prompt", "said"),
    [
        ("chat", {"pair": ["a", "b"]}, "task chat takes no pair.*\n.*task score does"),
        ("score", {"user": "a"}, "task score takes pair, and nothing else"),
        ("rerank", {"pair": ["a", "b"]}, "task rerank takes query and documents"),
        ("embed", {"turns": [{"user": "a"}, {"assistant": "b"}]}, "task embed takes no conversation"),
        ("embed", {"messages": "turns"}, "task embed takes no messages"),
        ("embed", {"user": "a", "images": "{{ row.q }}"}, "task embed takes no images"),
        (
            "reward",
            {"turns": [{"user": "a"}, {"generate": "x"}, {"user": "b"}]},
            "task reward takes no generate",
        ),
        (
            "loglikelihood",
            {"context": "{{ rwo.q }}", "continuations": "{{ row.docs }}"},
            "prompt.context.*rwo",
        ),
        ("score", {"pair": ["a", "{{ row.q"]}, r"prompt\.pair"),
    ],
)
def test_another_form_is_refused(task: str, prompt: dict[str, Any], said: str) -> None:
    """The fault names the task, what it doesn't take, and what does."""
    with pytest.raises(ConfigError, match=said):
        sent(task, prompt)


@pytest.mark.parametrize("template", ["{{ row.n }}", "{{ row.q }}", "{{ [] }}", "{{ [row.n] }}"])
def test_what_is_no_list_of_texts_fails_the_row(template: str) -> None:
    """A number, a text, an empty list and a list of numbers are no documents."""
    with pytest.raises(RenderError, match=r"prompt\.documents: expected a list of texts"):
        sent("rerank", {"query": "q", "documents": template})


@pytest.mark.parametrize("half", [{"query": "q"}, {"documents": "{{ row.docs }}"}, {"context": "c"}])
def test_half_a_form_is_refused(half: dict[str, str]) -> None:
    """Query needs documents, context needs continuations, and the other way round."""
    with pytest.raises(ValueError, match=r"exactly one of|go together"):
        Prompt.model_validate(half)
