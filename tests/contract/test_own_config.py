"""A model's own generation config, which fills nothing in that a plan didn't ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from tests.contract.subjects import SETTINGS, chat, started

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(600)]

HOSTILE: dict[str, Any] = {
    "do_sample": True,
    "temperature": 0.01,
    "top_p": 0.01,
    "top_k": 1,
    "min_p": 0.99,
    "repetition_penalty": 10.0,
}
"""Each of them alone changes the answers below."""


def _set(folder: Path) -> None:
    file = folder / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **HOSTILE}))


@pytest.mark.parametrize("kind", SETTINGS)
def test_models_own_generation_config_fills_nothing_in(kind: str, tmp_path: Path) -> None:
    """What it would penalise and leave out comes back right, with the values that a plan sends."""
    sent = dict(engine_kinds()[kind].capabilities.defaults)
    words = [f"reverse {word}" for word in ("aabb", "abab", "ccaacc")]
    with started(kind, tmp_path, change=_set) as subject:
        greedy = subject.ask(*(chat(word, **{**sent, "temperature": 0.0}) for word in words))
        drawn = subject.ask(*(chat("roll", **{**sent, "max_tokens": 1}) for _ in range(120)))

    assert [answer.text for answer in greedy] == ["bbaa", "baba", "ccaacc"]
    assert {answer.text for answer in drawn} == set("123456")
