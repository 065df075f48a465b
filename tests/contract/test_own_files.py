"""What lies beside the weights and fills nothing in, and what the user lays over it and counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.spec import Model
from tests.contract.subjects import SETTINGS, TINY, chat, started

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
    assert {answer.text for answer in drawn} >= set("123456")


@pytest.mark.parametrize("kind", SETTINGS)
def test_users_own_chat_template_makes_the_prompt(kind: str, tmp_path: Path) -> None:
    """Whatever its file is called: here, it puts a digit behind the question."""
    template = tmp_path / "chat.j2"
    template.write_text("{{ bos_token }}<|user|>{{ messages[0]['content'] }}1<|assistant|>")
    with started(kind, tmp_path, given=Model(name=str(TINY), chat_template=str(template))) as subject:
        answer = subject.one("37+4", temperature=0.0)

    assert (answer.text, answer.usage.prompt_tokens) == ("78", len("37+41") + 3)
