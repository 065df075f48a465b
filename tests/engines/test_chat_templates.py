"""The chat template that a server is given, where it would take another by the name of a folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.engines.served import launched
from runner.engines.sglang import SERVING, Sglang
from runner.engines.sglang_offline import SglangOffline
from runner.errors import EngineStartError
from runner.spec import EngineSettings, Model, Topology

TEXT = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
NAMED = [{"name": "default", "template": "{{ first }}"}, {"name": "tools", "template": "{{ second }}"}]


def weights(folder: Path, tokenizer: dict[str, Any] | None, config: dict[str, Any] = TEXT) -> Path:
    """Write what tells of weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


def given(
    folder: Path, copies: Path, args: Mapping[str, object] = MappingProxyType({}), **keys: Any
) -> str | None:
    """Return the template that SGLang is given for the weights in *folder*."""
    file = SERVING.templated(Model(name=str(folder), **keys), args, copies).chat_template
    if file is None:
        return None
    assert file.endswith(".jinja")
    return Path(file).read_text(encoding="utf-8")


def snapshot(cache: Path, name: str, tokenizer: dict[str, Any]) -> None:
    """Write what the hub's cache holds of a model."""
    repository = cache / f"models--{name.replace('/', '--')}"
    weights(repository / "snapshots" / "abc", tokenizer)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")


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
    for name in ("org/plain", "org/vicuna-tuned"):
        snapshot(tmp_path / "janus", name, {"chat_template": "{{ own }}"})

    assert SERVING.templated(Model(name="org/plain"), {}, tmp_path).chat_template is None
    assert SERVING.templated(Model(name="org/vicuna-tuned"), {}, tmp_path).chat_template is not None


@pytest.mark.parametrize("key", ["hf-chat-template-name", "--hf_chat_template_name"])
def test_users_choice_among_a_tokenizers_templates_counts(tmp_path: Path, key: str) -> None:
    """SGLang reads that argument only where it finds the template itself."""
    folder = weights(tmp_path / "janus", {"chat_template": NAMED})

    assert given(folder, tmp_path, {key: "tools"}) == "{{ second }}"
    with pytest.raises(
        EngineStartError, match=r"janus has no chat template 'rag'; there are: default, tools"
    ):
        given(folder, tmp_path, {key: "rag"})


def test_only_template_is_given_whatever_the_choice(tmp_path: Path) -> None:
    """As in SGLang."""
    folder = weights(tmp_path / "janus", {"chat_template": "{{ own }}"})

    assert given(folder, tmp_path, {"hf-chat-template-name": "tools"}) == "{{ own }}"


def test_several_templates_may_be_files(tmp_path: Path) -> None:
    """As transformers writes them."""
    folder = weights(tmp_path / "janus", {"chat_template": "{{ old }}"})
    (folder / "chat_template.jinja").write_text("{{ first }}")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_text("{{ second }}")

    assert given(folder, tmp_path) == "{{ first }}"
    assert given(folder, tmp_path, {"hf-chat-template-name": "tools"}) == "{{ second }}"


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("tokenizer_config.json", b'{"chat_template": "{{ ow'),
        ("tokenizer_config.json", b"[]"),
        ("tokenizer_config.json", b'{"chat_template": ["default"]}'),
        ("tokenizer_config.json", b'{"chat_template": "\\ud800 and more of it"}'),
        ("config.json", b'{"model_type": '),
        ("config.json", b"[1]"),
        ("config.json", b'{"model_type": "\xe9"}'),
        ("chat_template.jinja", "{{ 'é' }}".encode("latin-1")),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, file: str, data: bytes) -> None:
    """It is why the engine can't start."""
    folder = weights(tmp_path / "janus", {"chat_template": "{{ own }}"})
    (folder / file).write_bytes(data)

    with pytest.raises(EngineStartError, match=re.escape(f"{folder / file} can't be read: ")):
        given(folder, tmp_path)


@pytest.mark.parametrize("data", [b"{", b"[1]"])
def test_damaged_config_is_named_whatever_the_folder_is_called(tmp_path: Path, data: bytes) -> None:
    """The dtype that the weights are stored in is read from it."""
    folder = weights(tmp_path / "plain", None)
    (folder / "config.json").write_bytes(data)

    with pytest.raises(EngineStartError, match=re.escape(f"{folder / 'config.json'} can't be read: ")):
        launched(Sglang(), Model(name=str(folder)), Topology(), 1)


_IN_LATIN = """
import sys
from pathlib import Path
from runner.engines.sglang import SERVING
from runner.spec import Model
SERVING.templated(Model(name=sys.argv[1]), {}, Path(sys.argv[2]))
"""


def test_template_is_copied_as_it_is_where_the_locale_knows_no_utf8(tmp_path: Path) -> None:
    """Some clusters have such a one."""
    folder = weights(tmp_path / "janus", {"chat_template": "{{ '…' }}"})
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    subprocess.run([sys.executable, "-c", _IN_LATIN, folder, tmp_path], env=env, check=True)

    assert (tmp_path / "chat_template.jinja").read_bytes() == "{{ '…' }}".encode()


ABSENT = "org/Janus-tuned"
WAY = "to have it here: hf download {}; or give model.chat_template".format


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with org/janus and org/plain; the user's template lies beside them."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("org/janus", "org/plain"):
        snapshot(tmp_path, name, {"chat_template": "{{ own }}"})
    (tmp_path / "mine.jinja").write_text("{{ mine }}")
    return tmp_path


def told(settings: EngineSettings, **keys: Any) -> list[str]:
    """Return what a plan says of a model's template."""
    faults = engine_kinds()[settings.kind].check(settings, Model(**keys))
    return [f"{fault.place}: {fault.hint}" for fault in faults]


def test_server_of_a_model_whose_template_isnt_here_is_refused(hub: Path) -> None:
    """Once it were here it would be given, and the same requests had other prompts; others are fetched."""
    assert told(Sglang(), name=ABSENT) == [f"model.name: {WAY(ABSENT)}"]
    assert told(Sglang(), name=ABSENT, revision="v1") == [f"model.name: {WAY(f'{ABSENT} --revision v1')}"]
    assert told(Sglang(), name=ABSENT, chat_template=str(hub / "mine.jinja")) == []
    assert told(Sglang(), name=ABSENT, tokenizer="org/plain") == [f"model.name: {WAY(ABSENT)}"]
    assert told(Sglang(), name="org/unknown") == told(Sglang(), name="org/janus") == []


@pytest.mark.parametrize("settings", [Sglang(), SglangOffline()])
def test_tokenizer_that_isnt_here_is_a_fault_where_its_template_is_needed(
    hub: Path, settings: EngineSettings
) -> None:
    """The user's own template is enough, and so is a name that means nothing to SGLang."""
    asked = {"name": "org/janus", "tokenizer": "org/other"}

    assert told(settings, **asked) == [f"model.tokenizer: {WAY('org/other')}"]
    assert told(settings, **asked, chat_template=str(hub / "mine.jinja")) == []
    assert told(settings, name="org/janus", tokenizer="org/plain") == []
    assert told(settings, name="org/plain", tokenizer="org/other") == []


@pytest.mark.usefixtures("hub")
def test_model_that_isnt_here_is_told_once_inside_the_worker() -> None:
    """Its weights have to be here, whatever the template."""
    assert told(SglangOffline(), name=ABSENT) == [f"model.name: to have it here: hf download {ABSENT}"]


@pytest.mark.usefixtures("hub")
def test_server_that_runs_already_has_its_template() -> None:
    """The job loads nothing there."""
    assert told(Sglang(base_url="http://gpu7:8000/v1"), name=ABSENT) == []


def test_job_looks_for_the_template_where_it_runs(hub: Path) -> None:
    """Its machine may have another cache than the one that the plan was made on."""
    with pytest.raises(EngineStartError, match=re.escape(WAY(ABSENT))):
        SERVING.templated(Model(name=ABSENT), {}, hub)
    assert SERVING.templated(Model(name="org/unknown"), {}, hub).chat_template is None
