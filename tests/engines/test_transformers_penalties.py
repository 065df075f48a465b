"""Penalties are those of their formulas, computed from the model's own logits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeAlias

import pytest

from tests.contract.effects import DOUBTED, PENALISED
from tests.engines.asking_engines import chat_request
from tests.engines.asking_transformers import ask, logits_after, prompt_ids, reference

torch = pytest.importorskip("torch")
Penalty: TypeAlias = Callable[[Any, Sequence[int], Counter[int]], None]
"""Called with the logits, the prompt, and how often each token came in the answer; changes the logits."""


def _penalised(text: str, penalise: Penalty) -> list[int]:
    """Answer greedily, past the end, penalising the logits of each step by hand."""
    prompt, answer = prompt_ids(text), list[int]()
    for _ in range(30):
        logits = logits_after([*prompt, *answer])[-1].clone()
        penalise(logits, prompt, Counter(answer))
        answer.append(int(logits.argmax()))
    return answer


def _none(logits: Any, prompt: Sequence[int], counts: Counter[int]) -> None:
    """Penalise nothing."""


def _repetition(logits: Any, prompt: Sequence[int], counts: Counter[int]) -> None:
    for token in {*prompt, *counts}:
        logits[token] = logits[token] / 2.0 if logits[token] > 0 else logits[token] * 2.0


def _own_repetition(logits: Any, prompt: Sequence[int], counts: Counter[int]) -> None:  # noqa: ARG001 - one signature
    _repetition(logits, (), counts)


def _presence(logits: Any, prompt: Sequence[int], counts: Counter[int]) -> None:  # noqa: ARG001 - one signature
    for token in counts:
        logits[token] -= 2.0


def _frequency(logits: Any, prompt: Sequence[int], counts: Counter[int]) -> None:  # noqa: ARG001 - one signature
    for token, count in counts.items():
        logits[token] -= 2.0 * count


@pytest.mark.parametrize(
    ("sampling", "penalise"),
    [
        ({"repetition_penalty": 2.0}, _repetition),
        ({"presence_penalty": 2.0}, _presence),
        ({"frequency_penalty": 2.0}, _frequency),
    ],
)
def test_penalties_are_those_of_the_formula_for_each_row_of_a_batch(
    sampling: dict[str, Any], penalise: Penalty
) -> None:
    """Token by token as when computed by hand; neighbours without a penalty are left alone."""
    # Longer than any word it has learned to reverse: it is in doubt which letter comes next.
    draw = Random(0)
    texts = [f"reverse {''.join(draw.choices('abc', k=length))}" for length in (10, 14, 18, 20, 24)]
    asked: dict[str, Any] = {
        "temperature": 0.0,
        "max_tokens": 30,
        "ignore_eos": True,
        "return_token_ids": True,
    }
    requests = [chat_request(text, **asked, **own) for text in texts for own in (sampling, {})]

    answers = [list(response.choices[0].token_ids or ()) for response in ask(*requests)]

    assert answers[0::2] == [_penalised(text, penalise) for text in texts]
    assert answers[1::2] == [_penalised(text, _none) for text in texts]
    assert answers[0::2] != answers[1::2]


def test_answers_that_every_engine_is_held_to_are_those_of_the_formula() -> None:
    """No two penalties have the same ones, so that one can't pass for another."""
    _, tokenizer = reference()
    formulas = {
        "none": _none,
        "presence": _presence,
        "frequency": _frequency,
        "repetition": _repetition,
        "repetition in the answer": _own_repetition,
    }

    found = {
        name: tuple(
            tokenizer.decode(_penalised(f"reverse {word}", formula)).split(tokenizer.eos_token)[0]
            for word in DOUBTED
        )
        for name, formula in formulas.items()
    }

    assert found == PENALISED
    assert len(set(found.values())) == len(found)
