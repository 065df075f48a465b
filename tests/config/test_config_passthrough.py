"""What may not go through `passthrough`: the plan would show one value, and another would be sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config import Composition
from runner.errors import ConfigError
from runner.plan import make_plan
from tests.config.config_kit import Project, made, unsourced

PROVIDERS = {"openai", "anthropic", "mistral", "google", "together", "fireworks", "xai", "deepseek"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for provider in ("OPENAI", "ANTHROPIC", "MISTRAL", "GEMINI", "TOGETHER", "FIREWORKS", "XAI", "DEEPSEEK"):
        monkeypatch.setenv(f"{provider}_API_KEY", "sk-0123456789")
    return made(tmp_path)


def experiment(project: Project, kind: str, passed: dict[str, Any], **sampling: Any) -> Composition:
    """Compose an experiment on *kind* with a passthrough."""
    engine = {"kind": kind} | ({} if kind in PROVIDERS else {"base_url": "http://h:1/v1"})
    declared = {
        "model": {"name": "m", "engine": engine},
        "prompt": "{{ row.question }}",
        "dataset": "data/sums.jsonl",
        "sampling": {**sampling, "passthrough": passed},
    }
    return project.composed(file=project.file(json.dumps(declared)))


def refused(composition: Composition) -> str:
    """Return the faults of a plan."""
    with pytest.raises(ConfigError) as caught:
        make_plan(composition)
    return unsourced(caught.value)


OWN = [
    ("openai_compatible", {"temperature": 1.5}, "temperature", "temperature"),
    ("openai_compatible", {"max_completion_tokens": 5}, "max_completion_tokens", "max_tokens"),
    ("vllm", {"stop": ["5"]}, "stop", "stop"),
    ("vllm", {"n": 2}, "n", "n"),
    ("vllm", {"structured_outputs": {"regex": "a"}}, "structured_outputs.regex", "regex"),
    ("vllm", {"structured_outputs": {"json": {}}}, "structured_outputs.json", "json_schema"),
    ("sglang", {"regex": "a"}, "regex", "regex"),
    ("sglang", {"tools": []}, "tools", "tools"),
    ("openai", {"max_tokens": 5}, "max_tokens", "max_tokens"),
    ("openai", {"response_format": {"type": "json_schema"}}, "response_format", "json_schema"),
    ("mistral", {"random_seed": 5}, "random_seed", "seed"),
    ("anthropic", {"stop_sequences": ["a"]}, "stop_sequences", "stop"),
    ("anthropic", {"output_config": {"effort": "low"}}, "output_config.effort", "reasoning_effort"),
    ("google", {"generationConfig": {"topP": 0.5}}, "generationConfig.topP", "top_p"),
    (
        "google",
        {"generationConfig": {"maxOutputTokens": 5}},
        "generationConfig.maxOutputTokens",
        "max_tokens",
    ),
    (
        "google",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
        "generationConfig.thinkingConfig.thinkingLevel",
        "reasoning_effort",
    ),
    ("xai", {"max_tokens": 5}, "max_tokens", "max_tokens"),
    ("together", {"min_p": 0.5}, "min_p", "min_p"),
]


@pytest.mark.parametrize(("kind", "passed", "path", "name"), OWN)
def test_field_that_has_a_key_of_its_own_is_refused(
    project: Project, kind: str, passed: dict[str, Any], path: str, name: str
) -> None:
    """In the engine's spelling, too; the key is named."""
    told = refused(experiment(project, kind, passed))

    assert f"sampling.passthrough.{path}: it has a key of its own\n    set sampling.{name} instead" in told


@pytest.mark.parametrize(
    ("kind", "field", "key"),
    [
        ("openai_compatible", "model", "model.name"),
        ("vllm", "messages", "prompt"),
        ("openai", "stream", "engine.stream"),
        ("anthropic", "system", "prompt"),
        ("google", "systemInstruction", "prompt"),
        ("sglang", "lora_path", "model.adapter"),
    ],
)
def test_field_that_the_runner_fills_is_refused(project: Project, kind: str, field: str, key: str) -> None:
    """It would be another model, or another question."""
    told = refused(experiment(project, kind, {field: "x"}))

    assert f"sampling.passthrough.{field}: the runner sets it\n    set {key} instead" in told


@pytest.mark.parametrize(
    ("kind", "passed", "sampling"),
    [
        ("vllm", {"response_format": {"type": "json_object"}}, {"json_schema": {"type": "object"}}),
        ("vllm", {"structured_outputs": {"grammar": "x"}}, {"regex": "a"}),
        ("anthropic", {"thinking": {"type": "disabled"}}, {"reasoning_effort": "low"}),
    ],
)
def test_field_that_would_replace_what_is_asked_is_refused(
    project: Project, kind: str, passed: dict[str, Any], sampling: dict[str, Any]
) -> None:
    """Alone it may go through; beside the parameter one of the two would be lost."""
    (field,), (name,) = passed, sampling

    told = refused(experiment(project, kind, passed, **sampling))
    assert f"sampling.passthrough.{field}: it would replace sampling.{name}" in told
    make_plan(experiment(project, kind, passed))


@pytest.mark.parametrize(
    ("kind", "passed"),
    [
        ("deepseek", {"thinking": {"type": "disabled"}, "response_format": {"type": "json_object"}}),
        ("openai", {"service_tier": "flex", "metadata": {"model": "x"}, "top_k": 3}),
        ("openllm", {"top_k": -1, "repetition_penalty": 1.0}),
        ("sglang", {"seed": 1, "ebnf": "x"}),
        ("google", {"safetySettings": [], "generationConfig": {"mediaResolution": "LOW"}}),
        ("google", {"tools": [{"googleSearch": {}}]}),
        ("anthropic", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ],
)
def test_field_without_a_parameter_goes_through(project: Project, kind: str, passed: dict[str, Any]) -> None:
    """It is what passthrough is for."""
    make_plan(experiment(project, kind, passed))


def test_slot_names_its_own_place(project: Project) -> None:
    """A conversation's slot may have a passthrough too."""
    turns = 'prompt={turns: [{user: "{{ row.question }}"}, {generate: {as: a, passthrough: {top_p: 0.5}}}]}'
    told = refused(project.composed("engine={kind: vllm, base_url: 'http://h:1/v1'}", turns))

    assert "prompt.turns.a.passthrough.top_p: it has a key of its own\n    set prompt.turns.a.top_p" in told


def test_task_that_is_answered_with_numbers_refuses_its_inputs_alone(project: Project) -> None:
    """Whatever else its API takes goes through."""
    given = ("engine={kind: vllm, base_url: 'http://h:1/v1'}", "task=embed", "~sampling")
    make_plan(project.composed(*given, "+sampling={passthrough: {dimensions: 8}}"))

    told = refused(project.composed(*given, "+sampling={passthrough: {input: x, model: y}}"))
    assert "sampling.passthrough.input: the runner sets it\n    set prompt instead" in told
    assert "sampling.passthrough.model: the runner sets it" in told


@pytest.mark.parametrize(
    ("sampling", "place", "text"),
    [
        ({"passthrough": {"mirostat": "{{ row.m }}"}}, "passthrough.mirostat", "{{ row.m }}"),
        ({"passthrough": {"a": {"b": [1, "{{row['m']}}"]}}}, "passthrough.a.b.1", "{{row['m']}}"),
        ({"choice": ["{{ row.a }}", "other"]}, "choice.0", "{{ row.a }}"),
        ({"stop": ["{{ row.end }}"]}, "stop.0", "{{ row.end }}"),
        (
            {"chat_template_kwargs": {"today": "on {{ row.day }}"}},
            "chat_template_kwargs.today",
            "on {{ row.day }}",
        ),
    ],
)
def test_template_within_a_list_or_map_is_refused(
    project: Project, sampling: dict[str, Any], place: str, text: str
) -> None:
    """It would reach the engine as it is written: a row fills a value as a whole."""
    name = place.partition(".")[0]
    told = refused(experiment(project, "vllm", sampling.pop("passthrough", {}), **sampling))

    assert f"sampling.{place}: {text!r} would be sent as it is: a row fills a value as a whole" in told
    assert f"\n    write all of sampling.{name} as one template, such as " in told


def test_template_that_takes_nothing_of_a_row_goes_through(project: Project) -> None:
    """Such as a chat template for the server to fill."""
    template = "{% for row in messages %}{{ row.content }}{% endfor %}{{ bos_token }}"
    make_plan(experiment(project, "vllm", {"chat_template": template, "odd": "{{ no template"}))
