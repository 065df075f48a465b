from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.config import Composition
from runner.errors import ConfigError
from runner.plan import PlannedPoint, make_plan
from tests.config.config_kit import Project, made, unsourced

SERVED = "engine={kind: openai_compatible, base_url: 'http://h:1/v1'}"
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}
TOOLS = "sampling.tools=[{type: function, function: {name: f}}]"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return made(tmp_path)


def planned(composition: Composition) -> PlannedPoint:
    """Return the only point of a plan."""
    (point,) = make_plan(composition).points
    return point


def refused(composition: Composition) -> str:
    """Return the faults of a plan."""
    with pytest.raises(ConfigError) as caught:
        make_plan(composition)
    return unsourced(caught.value)


def test_json_file_is_read_into_the_plan(project: Project) -> None:
    """What is launched holds the schema and the tools themselves, not the names of files."""
    project.write("schema.json", json.dumps(SCHEMA))
    project.write("tools.json", '[{"type": "function", "function": {"name": "f"}}]')
    point = project.composed(SERVED, "sampling.json_schema=schema.json", "sampling.tools=tools.json")

    assert planned(point).sampling["json_schema"] == SCHEMA
    assert planned(point).sampling["tools"] == [{"type": "function", "function": {"name": "f"}}]


def test_json_file_of_a_slot_is_read_too(project: Project) -> None:
    """A slot of a conversation has sampling values of its own."""
    project.write("schema.json", json.dumps(SCHEMA))
    file = project.file(
        "model: {name: m, engine: {kind: openai_compatible, base_url: 'http://h:1/v1'}}\n"
        "dataset: data/sums.jsonl\n"
        'prompt: {turns: [{user: "{{ row.question }}"}, {generate: {as: a, json_schema: schema.json}}]}\n'
    )
    (slot,) = planned(project.composed(file=file)).prompt.slots

    assert slot.sampling["json_schema"] == SCHEMA


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no file schema.json"),
        ("{", "schema.json is no JSON"),
        ("[1]", "schema.json: "),
        ('{"type": "objekt"}', "not a JSON Schema: type: 'objekt' is not valid"),
    ],
)
def test_bad_schema_file_is_refused(project: Project, content: str | None, problem: str) -> None:
    """Before anything is launched, with the key that names it."""
    if content is not None:
        project.write("schema.json", content)
    overrides = (
        "engine={kind: openai_compatible, base_url: 'http://h:1/v1'}",
        "sampling.json_schema=schema.json",
    )
    with pytest.raises(ConfigError) as caught:
        make_plan(project.composed(*overrides))

    assert "sampling.json_schema" in str(caught.value)
    assert problem in str(caught.value)


def test_template_stays_in_the_plan_for_each_row_to_fill(project: Project) -> None:
    """It is checked for the names that it uses, and for nothing that only a row can tell."""
    point = project.composed("sampling.max_tokens='{{ row.answer | int }}'")
    assert planned(point).sampling["max_tokens"] == "{{ row.answer | int }}"

    problem = refused(project.composed("sampling.max_tokens='{{ rwo.answer }}'"))
    assert "sampling.max_tokens: template sampling.max_tokens: unknown name 'rwo'" in problem


@pytest.mark.parametrize(("stop", "place"), [("''", ""), ("['']", ".0"), ("[a, '']", ".1")])
def test_empty_stop_string_is_refused(project: Project, stop: str, place: str) -> None:
    """Every answer begins with it."""
    told = project.refused(f"sampling.stop={stop}")

    assert f"sampling.stop{place} (command line): '' given, expected " in told
    assert "text that isn't empty" in told


def test_two_constraints_are_refused(project: Project) -> None:
    """An answer can obey one of them."""
    with pytest.raises(ConfigError, match="obeys one of json_schema, regex, choice; given: regex, choice"):
        project.composed("sampling.regex=a", "sampling.choice=[b]")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (("sampling.regex='('",), "sampling.regex: '(' is not a regular expression"),
        (("sampling.tool_choice=auto",), "sampling.tool_choice: needs tools"),
        (("sampling.length_penalty=2",), "sampling.length_penalty: needs beam search"),
        (("sampling.temperature=2.5",), "sampling.temperature: 2.5: engine vllm takes values up to 2"),
    ],
)
def test_value_that_vllm_would_refuse_is_refused_first(
    project: Project, overrides: tuple[str, ...], problem: str
) -> None:
    """By the same table that the docs show."""
    served = "engine={kind: vllm, base_url: 'http://h:1/v1'}"

    assert problem in refused(project.composed(served, *overrides))


@pytest.mark.parametrize(
    ("kind", "choice", "args"),
    [
        ("vllm", "auto", "{}"),
        ("vllm", "required", "{max-model-len: 512}"),
        ("vllm_offline", "{type: function, function: {name: f}}", "{}"),
        ("sglang", "auto", "{}"),
        ("sglang_offline", "auto", "{tool-call-parser: false}"),
    ],
)
def test_tools_without_a_parser_are_refused_where_calls_would_be_lost(
    project: Project, kind: str, choice: str, args: str
) -> None:
    """Without one vLLM refuses such requests, and SGLang leaves the calls in the text."""
    engine = f"engine={{kind: {kind}, args: {args}}}"
    problem = refused(project.composed(engine, TOOLS, f"sampling.tool_choice={choice}"))

    assert f"engine.args.tool-call-parser: engine {kind} can't read calls of tools without it" in problem


@pytest.mark.parametrize(
    ("engine", "choice"),
    [
        ("{kind: vllm, python: /bin/sh, args: {tool_call_parser: hermes}}", "auto"),
        ("{kind: vllm, python: /bin/sh}", "none"),
        ("{kind: vllm, base_url: 'http://h:1/v1'}", "auto"),
        ("{kind: sglang, python: /bin/sh}", "required"),
        ("{kind: sglang, python: /bin/sh, args: {tool-call-parser: auto}}", "auto"),
    ],
)
def test_tools_are_taken_where_calls_can_be_read(project: Project, engine: str, choice: str) -> None:
    """With a parser, where none is needed, and on a server that somebody else started."""
    point = project.composed(
        f"engine={engine}", "model.name=org/name", TOOLS, f"sampling.tool_choice={choice}"
    )

    assert planned(point).sampling["tool_choice"] == choice


@pytest.mark.parametrize(
    ("kind", "sampling"),
    [
        ("vllm", "reasoning_effort: high"),
        ("vllm_offline", "chat_template_kwargs: {enable_thinking: true}"),
        ("sglang", "chat_template_kwargs: {thinking: true}"),
        ("sglang_offline", "reasoning_effort: low"),
    ],
)
def test_reasoning_without_a_parser_is_refused_where_it_would_stay_in_the_answer(
    project: Project, kind: str, sampling: str
) -> None:
    """Scorers would read it."""
    problem = refused(project.composed(f"engine={{kind: {kind}}}", f"sampling={{{sampling}}}"))

    assert f"engine.args.reasoning-parser: engine {kind} leaves the reasoning in the answer" in problem


@pytest.mark.parametrize(
    ("engine", "sampling"),
    [
        ("{kind: vllm, python: /bin/sh, args: {reasoning_parser: qwen3}}", "reasoning_effort: low"),
        ("{kind: sglang, python: /bin/sh, args: {reasoning-parser: false}}", "reasoning_effort: low"),
        ("{kind: vllm, python: /bin/sh}", "reasoning_effort: none"),
        ("{kind: vllm, python: /bin/sh}", "chat_template_kwargs: {enable_thinking: false}"),
        ("{kind: vllm, base_url: 'http://h:1/v1'}", "reasoning_effort: low"),
    ],
)
def test_reasoning_is_taken_where_it_is_kept_apart(project: Project, engine: str, sampling: str) -> None:
    """Or where the user says that it need not be, none is asked for, or somebody else started the server."""
    planned(project.composed(f"engine={engine}", "model.name=org/name", f"sampling={{{sampling}}}"))


def test_parameter_that_a_kind_lacks_names_who_has_it(project: Project) -> None:
    """The fault tells which engines to choose among."""
    problem = refused(project.composed(SERVED, "sampling.regex=a"))

    assert "engine openai_compatible can't honour regex" in problem
    assert "vllm" in problem.partition("taken by:")[2]


def test_images_for_an_engine_without_eyes_are_refused(project: Project) -> None:
    """The prompt shows pictures, and the kind takes none."""
    problem = refused(project.composed("prompt={user: what, images: '{{ row.question }}'}"))

    assert "prompt.images: engine fake takes no images" in problem


def test_neutral_sampling_is_sent_to_a_server_whoever_started_it(project: Project) -> None:
    """A server fills what is left out from the model's own generation config; nothing is left out."""
    served = planned(project.composed("engine={kind: vllm, base_url: 'http://h:1/v1'}"))

    assert served.sampling == {
        "temperature": 0,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def test_models_own_generation_config_is_read_when_asked_for(project: Project) -> None:
    """Its values stand in the plan; those of the experiment win."""
    project.write("weights/config.json", '{"dtype": "float32"}')
    project.write("weights/model.safetensors", "")
    project.write("weights/generation_config.json", '{"top_p": 0.8, "temperature": 0.6, "max_new_tokens": 9}')
    engine = "engine={kind: vllm, python: /bin/sh, generation_config: model}"
    point = planned(project.composed("model=weights", engine))

    assert point.sampling["top_p"] == 0.8
    assert point.sampling["max_tokens"] == 9
    assert point.sampling["temperature"] == 0
    assert any("generation_config.json sets" in note for note in point.notes)


def test_auto_is_the_best_engine_that_is_installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan says which one it is, and why."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    project.write("weights/config.json", "{}")
    project.write("weights/model.safetensors", "")
    point = planned(project.composed("model=weights", "engine=auto"))

    assert point.kind.name in {"transformers", "mistralrs"}
    assert any(note.startswith(f"engine: auto is {point.kind.name}, without a GPU") for note in point.notes)
