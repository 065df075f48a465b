"""What lies beside the weights and fills nothing in, and what the user lays over it and counts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.engines.sglang import GUESSED
from runner.spec import Model
from tests.contract.environments import engine_python
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


@pytest.mark.parametrize("kind", ["sglang", "sglang_offline"])
def test_folders_name_makes_no_other_prompt(kind: str, tmp_path: Path) -> None:
    """SGLang would take this one for Janus, by a folder far above the weights."""
    weights = shutil.copytree(TINY, tmp_path / "janus" / "weights")
    with started(kind, tmp_path, given=Model(name=str(weights))) as subject:
        answer = subject.one("37+41", temperature=0.0)

    assert (answer.text, answer.usage.prompt_tokens) == ("78", len("37+41") + 3)


_GUESSES = """
import json, sys
from sglang.srt.parser import conversation
guess = conversation.get_conv_template_by_model_path
print(json.dumps([len(conversation.matching_function_registry), [guess(path) for path in sys.argv[1:]]]))
"""
NAMED = [
    *("points", "moss-vl", "InternVL2", "janus", "vicuna", "llava-v1.5", "llava-next-video-7b"),
    *("deepseek-vl2", "llava-v1.6-34b", "llava-v1.6-yi-34b", "llava-next-video-34b", "llava-onevision-qwen2"),
    *("MiniCPM-V-2_6", "minicpm-o", "phi-4-multimodal", "deepseek-ocr", "unlimited", "paddleocr", "whisper"),
]
PLAIN = ["llama-2-7b-chat", "Qwen2-VL-7B", "viewpoints", "mistral-7b", "llava-1.5", "minicpm", "deepseek-r1"]


def test_names_that_sglang_guesses_a_template_by_are_known() -> None:
    """All rules that its version has, and no other."""
    paths = [f"/data/{name}/weights" for name in (*NAMED, *PLAIN)]
    python = engine_python("sglang")
    assert python is not None
    told = subprocess.run([python, "-c", _GUESSES, *paths], check=True, capture_output=True, text=True)
    rules, guesses = json.loads(told.stdout.splitlines()[-1])

    assert rules == 13
    assert [guess is not None for guess in guesses] == [GUESSED.search(path) is not None for path in paths]
    assert all(guesses[: len(NAMED)])
    assert not any(guesses[len(NAMED) :])
