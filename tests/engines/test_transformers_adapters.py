"""A LoRA adapter through peft, against the same model with the adapter in its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.lora import adapter, merged
from tests.engines.asking_engines import chat_request
from tests.engines.asking_transformers import GREEDY, TINY, ask

pytest.importorskip("torch")
pytest.importorskip("peft")

ASKED = [chat_request(text, **GREEDY) for text in ("37+48", "12+30", "reverse abcdefg", "90-17", "5+5")]


def answers(**model: str) -> list[str]:
    """Return the model's greedy answers."""
    return [response.text for response in ask(*ASKED, settings=None, **model)]


def test_answers_are_those_of_the_adapted_weights(tmp_path: Path) -> None:
    """They differ from the model's own."""
    lora = adapter(tmp_path / "lora")
    found = answers(adapter=str(lora))

    assert found == answers(name=str(merged(lora, tmp_path / "merged")))
    assert sum(a != b for a, b in zip(found, answers(), strict=True)) >= 2


def test_adapter_that_adds_nothing_changes_nothing(tmp_path: Path) -> None:
    """The same way through the engine, with zeros."""
    zero = adapter(tmp_path / "zero", base=str(TINY), strength=0.0)

    assert answers(adapter=str(zero)) == answers()
