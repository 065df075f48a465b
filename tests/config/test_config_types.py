"""Numbers, booleans and text are never read as one another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner import LLM
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, RenderError
from runner.schema import experiment_type
from runner.spec import Sampling, Topology
from tests.config.config_kit import BASE, Project
from tests.work.test_work_drawing import drawn

INTEGERS = [
    "samples",
    "max_errors",
    "sampling.max_tokens",
    "sampling.seed",
    "dataset.limit",
    "engine.concurrency",
]
NUMBERS = ["sampling.temperature", "sampling.top_p", "engine.timeout"]
FLAGS = ["sampling.logprobs", "sampling.ignore_eos", "dataset.shuffle", "cache"]


def written(project: Project, key: str, value: str) -> Any:
    """Return the value that an experiment has at *key*, written in its file."""
    top, _, inner = key.partition(".")
    lines = f"{key}: {value}\n"
    point = project.one(file=project.file(BASE + lines)).model_dump()
    return point[top] if not inner else point[top][inner]


@pytest.mark.parametrize("key", [*INTEGERS, *NUMBERS])
@pytest.mark.parametrize("value", ["true", "false", "'2'", '"0.5"'])
def test_boolean_and_text_are_no_number(project: Project, key: str, value: str) -> None:
    """The message says what was given and that a number is expected."""
    told = project.refused(file=project.file(BASE + f"{key}: {value}\n"))

    assert f"{key} (experiments/case.yaml:" in told
    assert "number" in told
    assert project.refused(f"{key}={value}").startswith(f"{key} (command line): ")


@pytest.mark.parametrize("key", FLAGS)
@pytest.mark.parametrize("value", ["1", "0", "1.0", "'1'"])
def test_number_is_no_boolean(project: Project, key: str, value: str) -> None:
    """1 is not true, in a file or on the command line."""
    assert "expected true or false" in project.refused(file=project.file(BASE + f"{key}: {value}\n"))
    assert "expected true or false" in project.refused(f"{key}={value}")


@pytest.mark.parametrize("key", INTEGERS)
def test_whole_float_is_an_integer_and_no_other(project: Project, key: str) -> None:
    """8.0 and 8e0 are 8; 8.5 is refused."""
    for value in ("8.0", "8e0"):
        found = written(project, key, value)
        assert (found, type(found)) == (8, int)
    assert "a whole number" in project.refused(f"{key}=8.5")


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", "1e30"])
def test_no_number_without_end_is_taken(project: Project, value: str) -> None:
    """Nor one that no integer holds, where an integer is expected."""
    assert "number" in project.refused(file=project.file(BASE + f"samples: {value}\n"))
    if value != "1e30":
        assert "number" in project.refused(file=project.file(BASE + f"sampling.temperature: {value}\n"))


def test_numbers_keep_their_kind_where_both_are_taken(project: Project) -> None:
    """In free maps, and in arguments of a server, 1.0 stays 1.0, 1 stays 1, and text stays text."""
    given = {"a": 1.0, "b": 1, "c": True, "d": "1", "e": 0.5, "f": "yes"}
    file = project.file(BASE + f"sampling.passthrough: {json.dumps(given)}\n")
    passed = project.one(file=file).sampling.passthrough
    args = engine_kinds()["vllm"].settings.model_validate({"args": given}).model_dump()["args"]

    for found in (passed, args):
        assert found is not None
        assert {key: (value, type(value)) for key, value in found.items()} == {
            key: (value, type(value)) for key, value in given.items()
        }


def test_every_declared_type_is_exact() -> None:
    """No field of any engine, scorer or part takes a boolean for a number, or a number for a boolean."""
    lax = list(_lax(experiment_type().__pydantic_core_schema__))

    assert lax == []


def _lax(schema: Any, place: tuple[str, ...] = ()) -> Any:
    if isinstance(schema, dict):
        free = "pydantic_internal_union_tag_key" in schema.get("metadata", {})  # JSON, which has any type
        if schema.get("type") in {"int", "float", "bool"} and not schema.get("strict") and not free:
            yield place, schema
        for key, inner in schema.items():
            if key not in {"keys_schema", "json_schema_input_schema"}:
                yield from _lax(inner, (*place, str(key)))
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _lax(inner, place)


def test_text_of_the_environment_is_what_belongs_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in a part of a text, through another key, and in a list."""
    monkeypatch.setenv("A_NUMBER", "4")
    monkeypatch.setenv("A_FRACTION", "0.5")
    monkeypatch.setenv("A_FLAG", "true")
    case = BASE.replace("  temperature: 0\n", "") + (
        "  temperature: ${oc.env:A_FRACTION}\n"
        "  max_tokens: ${oc.env:A_NUMBER}0\n"
        "  seed: ${sampling.max_tokens}\n"
        "  logprobs: ${oc.env:A_FLAG}\n"
        "  stop_token_ids: ['${oc.env:A_NUMBER}', 7]\n"
        "samples: ${oc.env:A_NUMBER}\n"
        "engine: {kind: fake, concurrency: '${oc.env:A_NUMBER}', template: '${oc.env:A_NUMBER}'}\n"
    )
    found = project.one(file=project.file(case))

    assert found.samples == 4
    assert found.sampling.given() == {
        "temperature": 0.5,
        "max_tokens": 40,
        "seed": 40,
        "logprobs": True,
        "stop_token_ids": [4, 7],
    }
    assert found.engine.model_dump()["template"] == "4"
    assert found.engine.concurrency == 4
    assert project.one("samples=${oc.env:A_NUMBER}").samples == 4
    assert project.one("engine=fake", "engine.concurrency=${oc.env:A_NUMBER}").engine.concurrency == 4


@pytest.mark.parametrize(("key", "value"), [("samples", "0.5"), ("samples", "many"), ("cache", "1")])
def test_other_text_of_the_environment_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    """What is no number is none, wherever it comes from, and 1 is no boolean."""
    monkeypatch.setenv("GIVEN", value)

    assert key in project.refused(f"{key}=${{oc.env:GIVEN}}")


def test_text_from_elsewhere_is_no_number_by_interpolation(project: Project) -> None:
    """A reference to text of the file itself is that text."""
    file = project.file(BASE.replace("model: small", "model: {name: '8', engine: {kind: fake}}"))

    assert "samples" in project.refused("samples=${model.name}", file=file)


@pytest.mark.parametrize(
    "key",
    ["sampling.seed", "sampling.max_tokens", "max_errors", "model.revision", "model.tokenizer", "dataset.id"],
)
def test_the_word_none_gets_a_hint_at_null(project: Project, key: str) -> None:
    """It is text in YAML and on the command line, where null is meant."""
    assert "write null" in project.refused(f"{key}=None")
    assert "write null" in project.refused(file=project.file(BASE + f"{key}: None\n"))
    project.one(f"{key}=null")


@pytest.mark.parametrize("group", ["sampling", "engine", "scorers", "prompt"])
def test_the_word_none_is_no_option(project: Project, group: str) -> None:
    """Where a group is to be left out, null says so."""
    assert "null" in project.refused(f"{group}=None")


def test_the_word_none_may_be_said(project: Project) -> None:
    """In a prompt, an answer and a choice it is a word like others."""
    found = project.one(
        "prompt={user: None}", "dataset={path: data/sums.jsonl, target: None}", "sampling.choice=[None, Some]"
    )

    assert (found.prompt.user, found.dataset.target, found.sampling.choice) == (
        "None",
        "None",
        ("None", "Some"),
    )


def test_row_exchanges_no_boolean_and_number() -> None:
    """Neither as JSON has them, nor as text of a CSV column."""
    for name, value in [("max_tokens", True), ("temperature", True), ("logprobs", 1), ("logprobs", "1")]:
        with pytest.raises(RenderError, match=rf"sampling\.{name}"):
            drawn({name: "{{ row.x }}"}, {"x": value})


def test_text_of_a_row_is_a_number_where_one_belongs() -> None:
    """A template's text and a CSV column are read; a whole number stays one."""
    sampling = {"temperature": "{{ row.t }}", "max_tokens": "1{{ row.m }}", "logprobs": "{{ row.l }}"}
    found = drawn(sampling, {"t": "0.50", "m": "6", "l": "True"})

    assert found == {"temperature": 0.5, "max_tokens": 16, "logprobs": True}
    assert drawn({"max_tokens": "{{ row.m }}"}, {"m": 8.0}) == {"max_tokens": 8}
    assert type(drawn({"max_tokens": "{{ row.m }}"}, {"m": 8.0})["max_tokens"]) is int


@pytest.mark.usefixtures("project")
def test_python_exchanges_none_either() -> None:
    """An LLM's arguments, and those of its calls."""
    for bad in ({"max_tokens": True}, {"temperature": False}, {"logprobs": 1}, {"max_tokens": "8"}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            LLM("fake:none", sampling=bad)
        with LLM("fake:none") as llm, pytest.raises(ConfigError, match=next(iter(bad))):
            llm.generate_sync("hello", **bad)
    with pytest.raises(ConfigError, match="concurrency"):
        LLM("fake:none", engine={"kind": "fake", "concurrency": True})
    with pytest.raises(ConfigError, match="cache"):
        LLM("fake:none", cache=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sample"), LLM("fake:none") as llm:
        llm.generate_sync("hello", sample=True)


def test_deleting_a_value_tells_true_from_one(project: Project) -> None:
    """``~key=1`` deletes 1 alone."""
    file = project.file(BASE + "sampling.logprobs: true\n")

    assert "it is true, not 1" in project.refused("~sampling.logprobs=1", file=file)
    assert project.one("~sampling.logprobs=true", file=file).sampling.logprobs is None


def test_values_in_code_are_as_exact() -> None:
    """The types that code builds are those that YAML fills."""
    assert Sampling.model_validate({"max_tokens": 8.0}).max_tokens == 8
    with pytest.raises(ValueError, match="replicas"):
        Topology.model_validate({"replicas": True})


def test_hydra_files_are_as_exact(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file, on the command line, and from the environment."""
    monkeypatch.setenv("A_NUMBER", "4")
    head = "defaults:\n  - /sampling: greedy\n  - _self_\n"
    body = BASE.replace("sampling:\n  temperature: 0\n", "")
    file = project.file(head + body + "sampling: {seed: '${oc.env:A_NUMBER}'}\nsamples: 2.0\n")

    found = project.one(file=file)
    assert (found.sampling.seed, found.samples, type(found.samples)) == (4, 2, int)
    assert "true given" in project.refused("samples=true", file=file)
    assert "write null" in project.refused("sampling.seed=None", file=file)
    assert "'3' given" in project.refused(file=project.file(head + body + "samples: '3'\n"))
