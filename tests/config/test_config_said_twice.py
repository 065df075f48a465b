"""Settings that would change nothing, and things that are said in two ways: refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engines.base import EngineKind
from runner.engines.registry import engine_kinds
from runner.engines.remote import RemoteSettings
from runner.errors import ConfigError
from runner.plan import make_plan
from runner.shipped import shipped
from tests.config.config_kit import Project, made, unsourced

ATTACHED = "engine={kind: vllm, base_url: 'http://h:1/v1'"
TINY = f"model.name={shipped() / 'models' / 'tiny'}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("KEY_A", "KEY_B", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "sk-0123456789")
    return made(tmp_path)


def refused(project: Project, *overrides: str) -> str:
    """Return the faults of a plan."""
    with pytest.raises(ConfigError) as caught:
        make_plan(project.composed(*overrides))
    return unsourced(caught.value)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            [f"{ATTACHED}}}", "+topology.tensor_parallel_size=2"],
            "topology.tensor_parallel_size: engine.base_url names a server that runs already",
        ),
        (
            ["engine={kind: candle_vllm, base_url: 'http://h:1/v1'}", "+topology.tensor_parallel_size=2"],
            "topology.tensor_parallel_size: engine.base_url names a server that runs already",
        ),
        ([f"{ATTACHED}, device: cpu}}"], "engine.device: only a server that the job starts takes it"),
        ([f"{ATTACHED}, startup_timeout: 5}}"], "engine.startup_timeout: only a server that the job starts"),
        (
            ["engine={kind: openllm, base_url: 'http://h:1/v1', binary: other}"],
            "engine.binary: only a server that the job starts takes it",
        ),
        (
            [f"{ATTACHED}, api_key_env: KEY_A, headers_env: {{authorization: KEY_B}}}}"],
            "engine.headers_env.authorization: engine vllm sends it itself\n    set engine.api_key_env",
        ),
        (
            ["engine={kind: openai, headers_env: {Authorization: KEY_A}}"],
            "engine.headers_env.Authorization: engine openai sends it itself\n    set engine.api_key_env",
        ),
        (
            ["engine={kind: google, headers_env: {X-Goog-Api-Key: KEY_A}}"],
            "engine.headers_env.X-Goog-Api-Key: engine google sends it itself",
        ),
        (
            ["engine={kind: anthropic, headers_env: {anthropic-version: KEY_A}}"],
            "engine.headers_env.anthropic-version: engine anthropic sends it itself",
        ),
        (
            [f"{ATTACHED}, headers_env: {{X-Team: KEY_A, x-team: KEY_B}}}}"],
            "engine.headers_env.x-team: the same header as X-Team",
        ),
        (
            [f"{ATTACHED}, headers_env: {{Content-Type: KEY_A}}}}"],
            "engine.headers_env.Content-Type: the runner sends it itself",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, args: {max-model-len: 5, max_model_len: 6}}"],
            "engine.args.max_model_len: the same argument as max-model-len",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, args: {enable-x: true, no-enable-x: true}}"],
            "engine.args.no-enable-x: the same argument as enable-x",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, args: {tensor-parallel: 2}}"],
            "engine.args.tensor-parallel: the job sets it for vllm\n    set topology.tensor_parallel_size",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, args: {tp: 2}}"],
            "engine.args.tp: the job sets it for vllm\n    set topology.tensor_parallel_size",
        ),
        (
            ["engine={kind: sglang, python: /bin/sh, args: {config: x.yaml}}"],
            "engine.args.config: the job sets it for sglang\n    set engine.args instead",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, args: {override-generation-config: '{}'}}"],
            "engine.args.override-generation-config: the job sets it for vllm\n    set sampling instead",
        ),
        (
            ["engine={kind: sglang_offline, args: {preferred-sampling-params: '{}'}}"],
            "engine.args.preferred-sampling-params: the job sets it for sglang\n    set sampling instead",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, args: {port: 5}}"],
            "engine.args.port: the job sets it for vllm\n    leave it out",
        ),
        (
            ["engine={kind: vllm, python: /bin/sh, env: {CUDA_VISIBLE_DEVICES: '3'}}"],
            "engine.env.CUDA_VISIBLE_DEVICES: the job gives its engine the GPUs that it claims",
        ),
        (
            ["engine={kind: mistralrs}", TINY, "+model.revision=main"],
            "is a folder of weights, which has no revisions",
        ),
        (["dataset.seed=3"], "dataset.seed: the seed of a shuffle, and dataset.shuffle is false"),
    ],
)
def test_what_would_be_ignored_is_refused(project: Project, overrides: list[str], problem: str) -> None:
    """With the key to write instead."""
    if overrides == ["dataset.seed=3"]:
        overrides = ["dataset={path: data/sums.jsonl, seed: 3}"]

    assert problem in refused(project, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [f"{ATTACHED}, device: cuda}}", "+topology.tensor_parallel_size=1"],
        [f"{ATTACHED}, headers_env: {{Authorization: KEY_A, X-Team: KEY_B}}}}"],
        ["engine={kind: google, headers_env: {Authorization: KEY_A}}"],
        ["engine={kind: vllm, python: /bin/sh, device: cpu, env: {CUDA_VISIBLE_DEVICES: ''}}"],
        ["engine={kind: vllm, python: /bin/sh, args: {seed: 3, tokenizer-mode: slow}}"],
        [f"{ATTACHED}}}", "model.name=m", "+model.revision=main"],
        ["dataset={path: data/sums.jsonl, seed: 3, shuffle: true}"],
    ],
)
def test_what_says_one_thing_once_is_planned(project: Project, overrides: list[str]) -> None:
    """Settings at their defaults say nothing twice."""
    make_plan(project.composed(*overrides))


def remote() -> list[EngineKind]:
    """Return every kind that sends headers."""
    return [kind for kind in engine_kinds().values() if issubclass(kind.settings, RemoteSettings)]


@pytest.mark.parametrize("kind", remote(), ids=lambda kind: kind.name)
def test_header_of_a_key_is_sent_once(
    project: Project, kind: EngineKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever engine sends it."""
    settings = kind.settings.model_validate({
        "api_key_env": "KEY_A",
        **({"base_url": "http://h:1"} if kind.settings.model_fields["base_url"].is_required() else {}),
    })
    assert isinstance(settings, RemoteSettings)
    for header in settings.own_headers():
        monkeypatch.setenv("OTHER_KEY", "sk-9876543210")
        address = "" if kind.name in {"openai", "google"} else ", base_url: 'http://h:1'"
        engine = (
            f"engine={{kind: {kind.name}{address}, api_key_env: KEY_A, headers_env: {{{header}: OTHER_KEY}}}}"
        )
        assert f"engine.headers_env.{header}: engine {kind.name} sends it itself" in refused(project, engine)


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        (["task=embed", "~sampling", f"{ATTACHED}, stream: true}}"], "engine.stream: not used, task embed"),
        (
            [f"{ATTACHED}, batch_size: 8}}"],
            "engine.batch_size: not used, task chat sends one input a request",
        ),
    ],
)
def test_setting_of_other_tasks_is_noted(project: Project, overrides: list[str], note: str) -> None:
    """An engine's option is shared by tasks; the plan says what this one leaves unused."""
    (point,) = make_plan(project.composed(*overrides)).points

    assert any(one.startswith(note) for one in point.notes)
