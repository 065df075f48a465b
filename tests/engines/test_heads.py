"""Tasks whose answers come from a head, asked of weights that have none: refused before a launch."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from runner.engines.base import EngineContext
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, EngineStartError
from runner.plan import make_plan
from runner.shipped import shipped
from runner.spec import Model
from tests.config.config_kit import Project, made
from tests.llm import stub_vllm

TINY = shipped() / "models" / "tiny"
VLLM = ["vllm", "vllm_offline"]
SGLANG = ["sglang", "sglang_offline"]
PROMPTS = {
    "embed": "{user: x}",
    "classify": "{user: x}",
    "reward": "{user: x}",
    "score": "{pair: [a, b]}",
    "rerank": "{query: q, documents: [a]}",
    "loglikelihood": "{context: a, continuations: [b]}",
}
HEADED = {**dict.fromkeys(VLLM, ("classify", "reward")), **dict.fromkeys(SGLANG, tuple(PROMPTS)[1:5])}
HEADS = {"classify": "classification", "reward": "reward", "score": "scoring", "rerank": "scoring"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return made(tmp_path / "project")


def saved(folder: Path, config: dict[str, Any] | None, *tensors: str) -> Path:
    """Write a model's config and its tensors' names, as safetensors holds them."""
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps(dict.fromkeys(("lm_head.weight", *tensors), empty)).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


def of(architecture: str, **further: Any) -> dict[str, Any]:
    return {"architectures": [architecture], **further}


def said(project: Project, kind: str, task: str, model: Path, *more: str) -> str:
    """Return what a plan refuses, beside an engine that isn't installed."""
    asked = (f"engine.kind={kind}", f"task={task}", f"prompt={PROMPTS[task]}", f"model.name={model}")
    try:
        make_plan(project.composed("engine={}", *asked, "scorers={}", "sampling={}", *more))
    except ConfigError as refused:
        faults = [fault for fault in refused.faults if not fault.asking]
        return "\n".join(f"{fault.place}: {fault.problem}\n    {fault.hint}" for fault in faults)
    return ""


def start(kind: str, model: Model, folder: Path, **settings: Any) -> None:
    """Start an engine to classify."""
    described = engine_kinds()[kind]
    given = described.settings.model_validate(settings)

    async def go() -> None:
        async with described.create(given, model, EngineContext(folder=folder, task="classify")):
            pass

    asyncio.run(go())


@pytest.mark.parametrize("task", PROMPTS)
@pytest.mark.parametrize("kind", [*VLLM, *SGLANG])
def test_task_of_a_head_is_refused_of_weights_without_one(kind: str, task: str, project: Project) -> None:
    """One engine would make up a head of arbitrary numbers, the other take an embedding for the answer."""
    told = said(project, kind, task, TINY)

    if task not in HEADED[kind]:
        assert not told
        return
    expected = f"task: task {task} needs a model with a {HEADS[task]} head; {TINY} is a LlamaForCausalLM"
    assert told.startswith(f"{expected} without one\n    ")
    assert ("engine vllm compares" in told) is (HEADS[task] == "scoring")


@pytest.mark.parametrize("kind", [*VLLM, *SGLANG])
@pytest.mark.parametrize(
    "architecture",
    [
        "LlamaForSequenceClassification",
        "BertForTokenClassification",
        "Qwen2ForRewardModel",
        "Qwen2ForProcessRewardModel",
        "LlamaForClassification",
        "LlamaForSequenceClassificationWithNormal_Weights",
        "JinaVLForRanking",
    ],
)
def test_architecture_that_names_a_head_is_taken(
    kind: str, architecture: str, project: Project, tmp_path: Path
) -> None:
    """Whatever the tensors of its head are called."""
    model = saved(tmp_path / "headed", of(architecture))

    assert not any(said(project, kind, task, model) for task in HEADED[kind])


@pytest.mark.parametrize(("kind", "taken"), [("vllm", True), ("sglang", False)])
@pytest.mark.parametrize("sharded", [False, True])
def test_tensors_of_a_head_are_loaded_by_vllm_alone(
    kind: str, taken: bool, sharded: bool, project: Project, tmp_path: Path
) -> None:
    """SGLang goes by the architecture."""
    head = "score.weight"
    model = saved(tmp_path / "headed", of("LlamaForCausalLM"), *([] if sharded else [head]))
    if sharded:
        index = {"weight_map": {head: "model.safetensors"}}
        (model / "model.safetensors.index.json").write_text(json.dumps(index))

    assert (not said(project, kind, "classify", model)) is taken


def test_tensors_that_only_sound_like_a_head_are_none(project: Project, tmp_path: Path) -> None:
    """A router's correction is no score."""
    tensors = (
        "model.layers.0.mlp.gate.e_score_correction_bias",
        "model.layers.0.mlp.router.classifier.weight",
    )
    model = saved(tmp_path / "m", of("LlamaForCausalLM"), *tensors)

    assert "without one" in said(project, "vllm", "classify", model)


@pytest.mark.parametrize("place", ["classifier_from_token", "text_config"])
def test_head_that_vllm_makes_of_tokens_is_taken(place: str, project: Project, tmp_path: Path) -> None:
    """The config of a reranker may say which tokens' logits are its head."""
    tokens = ["no", "yes"]
    given: Any = tokens if place == "classifier_from_token" else {"classifier_from_token": tokens}
    model = saved(tmp_path / "m", of("Qwen3ForCausalLM", **{place: given}))

    assert not said(project, "vllm", "classify", model)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        ("vllm", "hf-overrides"),
        ("vllm_offline", "hf_overrides"),
        ("vllm", "hf-overrides.architectures"),
        ("sglang", "json-model-override-args"),
        ("sglang_offline", "json_model_override_args"),
    ],
)
def test_arguments_that_make_a_head_are_the_users_affair(kind: str, argument: str, project: Project) -> None:
    """They may give the model another architecture."""
    given = f"engine.args={{{argument}: '{{}}'}}"

    assert not any(said(project, kind, task, TINY, given) for task in HEADED[kind])


def test_sglang_that_generates_ranks_by_its_chat_template(project: Project) -> None:
    """A reranker that says yes or no has no head."""
    given = "engine.args={is-embedding: false}"

    assert not said(project, "sglang", "rerank", TINY, given)
    assert said(project, "sglang", "rerank", TINY, "engine.args={is-embedding: true}")


@pytest.mark.parametrize("kind", VLLM)
def test_vllm_scores_with_a_head_where_it_is_told_to_convert(kind: str, project: Project) -> None:
    """Left alone it compares embeddings."""
    told = said(project, kind, "score", TINY, "engine.args={convert: classify}")

    assert f"needs a model with a scoring head; {TINY} is" in told
    assert not said(project, kind, "score", TINY, "engine.args={convert: embed}")


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_servers_at_an_address_and_weights_elsewhere_are_not_judged(
    kind: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody can look at here is not refused."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    assert not said(project, kind, "classify", Path("org/m"))
    assert not said(project, kind, "classify", Path("tiny"), "engine.base_url=http://127.0.0.1:9/v1")


def test_weights_in_the_hub_cache_are_judged(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub name is one of weights here, once they have come."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    saved(tmp_path / "hub" / "models--org--m" / "snapshots" / "main", of("LlamaForCausalLM"))

    assert "org/m is a LlamaForCausalLM without one" in said(project, "vllm", "classify", Path("org/m"))


def test_weights_in_another_form_are_judged_by_their_tensors(project: Project, tmp_path: Path) -> None:
    """Mistral's own form names no architecture; GGUF shows neither that nor tensors."""
    own = saved(tmp_path / "own", None)
    (own / "params.json").write_text("{}")
    gguf = tmp_path / "gguf"
    gguf.mkdir()
    (gguf / "m.gguf").touch()

    assert f"needs a model with a classification head; {own} has none" in said(
        project, "vllm", "classify", own
    )
    assert not said(project, "vllm", "classify", gguf)


@pytest.mark.parametrize("damaged", ["config.json", "model.safetensors", "model.safetensors.index.json"])
def test_damaged_file_is_named(damaged: str, project: Project, tmp_path: Path) -> None:
    """Not a traceback."""
    model = saved(tmp_path / "m", of("LlamaForCausalLM"))
    (model / damaged).write_bytes(b"\x08\0\0\0\0\0\0\0{")

    told = said(project, "vllm", "classify", model)

    assert told.startswith(f"model.name: {model / damaged} can't be read: ")


def test_weights_that_the_server_fetches_are_judged_once_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    fetched = tmp_path / "hub" / "models--org--m" / "snapshots"
    python = tmp_path / "fetches"
    python.write_text(
        f"#!/bin/sh\nmkdir -p {fetched} && cp -r {TINY} {fetched}/main\n"
        f'exec {stub_vllm.interpreter(tmp_path)} "$@"\n'
    )
    python.chmod(0o755)

    with pytest.raises(EngineStartError, match="org/m is a LlamaForCausalLM without one"):
        start("vllm", Model(name="org/m"), tmp_path, python=str(python))
    assert (tmp_path / "server-0.log").is_file()


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_engine_checks_again_where_it_starts(kind: str, tmp_path: Path) -> None:
    """The weights may have come, or changed, since the plan."""
    with pytest.raises(EngineStartError, match="needs a model with a classification head"):
        start(kind, Model(name=str(TINY)), tmp_path, python="false")
    assert not (tmp_path / "server-0.log").exists()
