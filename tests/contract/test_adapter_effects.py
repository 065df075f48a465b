"""LoRA adapters on real engines: answers are those of the weights that the adapter stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engines.registry import engine_kinds
from runner.spec import Model
from runner.values import Response
from tests.contract.lora import adapter, merged
from tests.contract.subjects import TINY, chat, started
from tests.contract.test_tasks import asked, cosine

pytestmark = [pytest.mark.contract, pytest.mark.slow]

KINDS = ("vllm", "vllm_offline")
"""SGLang takes adapters on a GPU only; of it the command line is tested."""
ASKED = [chat(text, temperature=0.0) for text in ("37+48", "12+30", "reverse abcdefg", "90-17", "5+5")]
BASE = ["85", "42", "gfedcba", "73", "10"]


def answers(kind: str, folder: Path, model: Model) -> list[str]:
    """Start an engine, and return its greedy answers."""
    folder.mkdir()
    with started(kind, folder, given=model) as subject:
        return [response.text for response in subject.ask(*ASKED)]


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random adapter."""
    return adapter(tmp_path_factory.mktemp("lora") / "random")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, lora: Path) -> list[str]:
    """Return what weights with that adapter in them answer, on another engine."""
    folder = tmp_path_factory.mktemp("merged")
    weights = merged(lora, folder / "weights")
    other = next(kind for kind in ("mistralrs", "transformers") if engine_kinds()[kind].missing() is None)
    return answers(other, folder / "run", Model(name=str(weights)))


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_the_adapted_weights(
    kind: str, lora: Path, changed: list[str], tmp_path: Path
) -> None:
    """They differ from the model's own, as they do on an engine that has the sum of both as its weights."""
    _require_here(kind)
    found = answers(kind, tmp_path / "run", Model(name=str(TINY), adapter=str(lora)))

    assert found == changed
    assert sum(a != b for a, b in zip(found, BASE, strict=True)) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_adapter_that_adds_nothing_changes_nothing(kind: str, tmp_path: Path) -> None:
    """The same way through the engine, with zeros."""
    _require_here(kind)
    zero = adapter(tmp_path / "zero", strength=0.0)

    assert answers(kind, tmp_path / "run", Model(name=str(TINY), adapter=str(zero))) == BASE


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_the_adapted_weights(kind: str, lora: Path, tmp_path: Path) -> None:
    """What is answered with numbers comes from the adapter, too."""
    _require_here(kind)
    weights = merged(lora, tmp_path / "weights")
    models = {
        "base": Model(name=str(TINY)),
        "adapted": Model(name=str(TINY), adapter=str(lora)),
        "merged": Model(name=str(weights)),
    }

    found = {name: _vector(kind, tmp_path / name, model) for name, model in models.items()}

    assert cosine(found["adapted"], found["merged"]) == pytest.approx(1.0, abs=1e-6)
    assert cosine(found["adapted"], found["base"]) < 0.99


def _vector(kind: str, folder: Path, model: Model) -> Response:
    folder.mkdir()
    with started(kind, folder, "embed", given=model) as subject:
        return subject.ask(*asked("embed", "12+34"))[0]


def _require_here(kind: str) -> None:
    described = engine_kinds()[kind]
    if kind.endswith("_offline") and described.missing() is not None:
        pytest.skip(f"run where {described.distribution} is, by test_offline.py")
