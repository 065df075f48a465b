"""What is the presets' own: addresses, ways of counting tokens, what they refuse."""

from __future__ import annotations

import pytest

from runner.engines import deepseek, fireworks, xai
from runner.values import Usage
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import chat
from tests.providers.wire import exchange


def test_each_preset_has_its_providers_address() -> None:
    """The addresses are those that the providers document."""
    assert {module.KIND.name: module.ADDRESS for module in (fireworks, xai, deepseek)} == {
        "fireworks": "https://api.fireworks.ai/inference/v1",
        "xai": "https://api.x.ai/v1",
        "deepseek": "https://api.deepseek.com",
    }


def test_xai_counts_reasoning_beside_the_answer() -> None:
    """Its total gives away that reasoning is no part of completion_tokens there; with us it is."""
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "prompt_tokens_details": {
            "text_tokens": 32,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 6,
        },
        "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
        "num_sources_used": 0,
    }

    response, _ = exchange("xai", chat_request(), {**chat("3"), "usage": usage})

    assert response.usage == Usage(32, 103, cached_tokens=6, reasoning_tokens=94)


def test_deepseek_says_in_its_own_words_what_was_cached() -> None:
    """Its hits are cached tokens of the prompt."""
    usage = {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24, "prompt_cache_hit_tokens": 16}

    response, _ = exchange("deepseek", chat_request(), {**chat("3"), "usage": usage})

    assert response.usage == Usage(20, 4, cached_tokens=16)


def test_fireworks_completes_raw_prompts() -> None:
    """Its completions route takes a prompt with the same names."""
    body = {"choices": [{"text": " Paris", "finish_reason": "stop"}]}

    response, sent = exchange("fireworks", text_request("The capital is", max_tokens=3, top_k=5), body)

    assert (sent.path, response.text) == ("/v1/completions", " Paris")
    assert sent.body == {"model": "m", "prompt": "The capital is", "max_tokens": 3, "top_k": 5}


@pytest.mark.parametrize("kind", ["fireworks", "xai", "deepseek"])
def test_name_of_the_key_can_be_another(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two accounts are two variables."""
    monkeypatch.setenv("MY_OTHER_KEY", "other-0123456789")

    _, sent = exchange(kind, chat_request(), chat(), api_key_env="MY_OTHER_KEY")

    assert sent.headers["authorization"] == "Bearer other-0123456789"
