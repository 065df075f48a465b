"""The chat template that a server is given, where it would take another by the name of a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.engines.sglang import SERVING
from runner.spec import Model

TEXT = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
NAMED = [{"name": "default", "template": "{{ first }}"}, {"name": "tools", "template": "{{ second }}"}]


def weights(folder: Path, tokenizer: dict[str, Any] | None, config: dict[str, Any] = TEXT) -> Path:
    """Write what tells of weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


def given(folder: Path, copies: Path, **keys: Any) -> str | None:
    """Return the template that SGLang is given for the weights in *folder*."""
    file = SERVING.templated(Model(name=str(folder), **keys), copies).chat_template
    if file is None:
        return None
    assert file.endswith(".jinja")
    return Path(file).read_text()


@pytest.mark.parametrize("template", ["{{ first }}", NAMED])
@pytest.mark.parametrize("above", ["janus/weights", "my-vicuna", "Unlimited/runs/last"])
def test_tokenizers_own_template_is_given_where_a_folder_names_another(
    tmp_path: Path, above: str, template: object
) -> None:
    """Of several the first, as SGLang takes it."""
    folder = weights(tmp_path / above, {"chat_template": template})

    assert given(folder, tmp_path) == "{{ first }}"


def test_template_in_a_file_of_its_own_comes_first(tmp_path: Path) -> None:
    """As in transformers; a tokenizer that the experiment names has its own."""
    folder = weights(tmp_path / "janus", {"chat_template": "{{ old }}"})
    (folder / "chat_template.jinja").write_text("{{ file }}")
    other = weights(tmp_path / "tokenizer", {"chat_template": "{{ other }}"})

    assert given(folder, tmp_path) == "{{ file }}"
    assert given(folder, tmp_path, tokenizer=str(other)) == "{{ other }}"


def test_users_template_is_given_as_ever(tmp_path: Path) -> None:
    """It is the one that counts."""
    folder = weights(tmp_path / "janus", {"chat_template": "{{ own }}"})
    (tmp_path / "mine.txt").write_text("{{ mine }}")

    assert given(folder, tmp_path, chat_template=str(tmp_path / "mine.txt")) == "{{ mine }}"


@pytest.mark.parametrize(
    ("name", "tokenizer", "config"),
    [
        ("plain", {"chat_template": "{{ own }}"}, TEXT),
        ("vicuna", {}, TEXT),
        ("vicuna", None, TEXT),
        ("janus", {"chat_template": "{{ own }}"}, {**TEXT, "vision_config": {}}),
        ("llava-v1.5", {"chat_template": "{{ own }}"}, {**TEXT, "mm_vision_tower": "x"}),
    ],
)
def test_everything_else_is_left_to_the_server(
    tmp_path: Path, name: str, tokenizer: dict[str, Any] | None, config: dict[str, Any]
) -> None:
    """Names that mean nothing to it, weights without a template, and models of images."""
    folder = weights(tmp_path / name, tokenizer, config)

    assert given(folder, tmp_path) is None


def test_snapshot_of_the_hub_is_looked_at_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is told ORG/NAME, wherever the cache lies."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "janus"))
    for name in ("plain", "vicuna-tuned"):
        repository = tmp_path / "janus" / f"models--org--{name}"
        weights(repository / "snapshots" / "abc", {"chat_template": "{{ own }}"})
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")

    assert SERVING.templated(Model(name="org/plain"), tmp_path).chat_template is None
    assert SERVING.templated(Model(name="org/vicuna-tuned"), tmp_path).chat_template is not None
