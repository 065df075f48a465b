"""An LLM with ``engine="auto"``: one engine for all that is asked of it, and it says which."""

from __future__ import annotations

import pytest

from runner import LLM
from runner.engines.mistralrs import KIND
from runner.errors import ConfigError

pytestmark = [
    pytest.mark.usefixtures("lab"),
    pytest.mark.skipif(KIND.missing() is not None, reason="mistralrs is not installed"),
]
TINY = {"temperature": 0, "max_tokens": 4}


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever this runs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_llm_says_which_engine_auto_is() -> None:
    """As a remark behind what it was made with, which is Python still; it answers."""
    with LLM({"name": "models/tiny"}, engine="auto", sampling=TINY) as llm:
        made, _, remark = repr(llm).partition("  # ")

        assert made.startswith("LLM(model={'name': 'models/tiny'}, engine='auto'")
        assert remark.startswith("engine: auto is ")
        assert "without a GPU" in remark
        assert llm.generate_sync("37+48").text == "85"


def test_calls_choose_no_other_engine() -> None:
    """What the engine can't do is refused with those that can, as if it had been named."""
    with LLM({"name": "models/tiny"}, engine="auto", sampling=TINY) as llm:
        chosen = repr(llm).partition(" auto is ")[2].partition(",")[0]
        with pytest.raises(ConfigError, match=f"engine {chosen} can't do embed"):
            llm.embed_sync("x", temperature=None, max_tokens=None)
        with pytest.raises(ConfigError, match=f"engine {chosen} can't honour tools"):
            llm.generate_sync("x", tools=[{"type": "function", "function": {"name": "f"}}])


@pytest.mark.parametrize("model", ["openai:gpt-5", {"name": "gpt-5"}])
def test_providers_model_points_to_its_engine(model: str | dict[str, str]) -> None:
    """Auto stands for engines that load weights, which a provider keeps to itself."""
    with pytest.raises(ConfigError, match=r"LLM\(\"openai:gpt-5\"\)"):
        LLM(model, engine="auto")
