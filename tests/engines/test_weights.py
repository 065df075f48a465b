"""A folder that nothing can be loaded from is refused before a launch."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engines.registry import engine_kinds
from runner.spec import Model

LOADING = ["mistralrs", "transformers", "vllm", "sglang", "vllm_offline", "sglang_offline", "candle_vllm"]
OWN = {"candle_vllm": {"binary": "true"}}


def faults(kind: str, folder: Path, **settings: object) -> str:
    """Return what is wrong with a folder's model, for an engine with these settings."""
    described = engine_kinds()[kind]
    given = described.settings.model_validate({**OWN.get(kind, {}), **settings})
    found = described.check(given, Model(name=str(folder)))
    return "\n".join(str(fault) for fault in found if fault.place == "model.name")


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize("kind", LOADING)
@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (["rows.jsonl"], "no config.json and no weights, such as model.safetensors"),
        (["config.json"], "no weights, such as model.safetensors"),
        (["model.safetensors"], "no config.json"),
        (["config.json", "pytorch_model.bin"], ""),
        (["config.json", "model-00001-of-00002.safetensors"], ""),
    ],
    ids=["rows", "no weights", "no config", "bin", "sharded"],
)
def test_folder_must_hold_what_an_engine_loads(
    tmp_path: Path, kind: str, names: list[str], lacking: str
) -> None:
    """The message names the folder and what it lacks."""
    folder = filled(tmp_path, *names)

    told = faults(kind, folder)

    expected = f"model.name: there is nothing to load in the folder {folder}: {lacking}\n"
    assert told.startswith(expected) if lacking else not told


@pytest.mark.parametrize(("kind", "taken"), [("vllm", True), ("vllm_offline", True), ("mistralrs", False)])
@pytest.mark.parametrize("names", [["model.gguf"], ["params.json", "consolidated.safetensors"]])
def test_other_forms_of_weights_are_some_engines_alone(
    tmp_path: Path, kind: str, taken: bool, names: list[str]
) -> None:
    """GGUF files and Mistral's own form."""
    assert (not faults(kind, filled(tmp_path, *names))) is taken


@pytest.mark.parametrize("kind", ["vllm", "sglang", "vllm_offline", "sglang_offline"])
def test_load_format_needs_no_weights(tmp_path: Path, kind: str) -> None:
    """Dummy weights are made up from the config alone."""
    assert not faults(kind, filled(tmp_path, "config.json"), args={"load-format": "dummy"})


def test_served_model_is_the_servers_affair(tmp_path: Path) -> None:
    """What a running server is said to serve need not be loadable here."""
    assert not faults("vllm", filled(tmp_path, "rows.jsonl"), base_url="http://localhost:1/v1")
