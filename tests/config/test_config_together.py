"""What is sent for a slot must make sense as a whole, wherever its parts are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.drawing import Drawing
from runner.engines.registry import engine_kinds
from runner.engines.request_rules import Target
from runner.errors import ConfigError, RenderError
from runner.plan import make_plan
from runner.shipped import shipped
from runner.values import VALUE_TASKS, Row
from tests.config.config_kit import Project, made, unsourced

SERVED = "engine={kind: vllm, base_url: 'http://h:1/v1'}"
TURNS = 'prompt={{turns: [{{user: "{{{{ row.question }}}}"}}, {{generate: {{as: a, {0}}}}}]}}'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return made(tmp_path)


def refused(project: Project, *overrides: str) -> str:
    """Return the faults of a plan."""
    with pytest.raises(ConfigError) as caught:
        make_plan(project.composed(*overrides))
    return unsourced(caught.value)


@pytest.mark.parametrize(
    "kind",
    [
        "{kind: vllm, base_url: 'http://h:1/v1'}",
        "{kind: sglang, base_url: 'http://h:1/v1'}",
        "{kind: openllm, base_url: 'http://h:1/v1'}",
        "{kind: openai_compatible, base_url: 'http://h:1/v1'}",
        "openai",
        "together",
        "fireworks",
    ],
)
def test_completion_without_a_length_is_refused(
    project: Project, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would end it after sixteen tokens."""
    for provider in ("OPENAI", "TOGETHER", "FIREWORKS"):
        monkeypatch.setenv(f"{provider}_API_KEY", "sk-0123456789")
    told = refused(project, f"engine={kind}", "task=complete")

    assert "sampling.max_tokens: engine " in told
    assert "needs it for task complete\n    such as sampling.max_tokens=256" in told
    make_plan(project.composed(f"engine={kind}", "task=complete", "sampling.max_tokens=5"))
    make_plan(project.composed(f"engine={kind}"))


def test_length_from_a_row_counts_as_given(project: Project) -> None:
    """What each row says is sent."""
    plan = make_plan(project.composed(SERVED, "task=complete", "sampling.max_tokens='{{ row.most }}'"))

    assert plan.points[0].sampling["max_tokens"] == "{{ row.most }}"


def test_length_that_the_model_omits_is_refused(project: Project) -> None:
    """It would not be sent."""
    overrides = ("task=complete", "sampling.max_tokens=5", "+model.omit=[max_tokens]")

    assert "take max_tokens out of model.omit" in refused(project, SERVED, *overrides)


def test_row_without_a_needed_value_is_refused() -> None:
    """The server's own default would slip in."""
    kind = engine_kinds()["openai_compatible"]
    settings = kind.settings.model_validate({"base_url": "http://h:1/v1"})
    drawing = Drawing({"max_tokens": "{{ row.most }}"}, (), Target.of(kind, settings, "complete"))

    assert drawing.sampling(Row("a", 0, {"most": 5}), (), 0) == {"max_tokens": 5}
    with pytest.raises(RenderError, match=r"sampling\.max_tokens: .* \(the row gives none\)"):
        drawing.sampling(Row("b", 1, {"most": None}), (), 0)


@pytest.mark.parametrize(
    ("sampling", "told"),
    [
        (
            "top_logprobs: 3",
            "prompt.turns.a.top_logprobs: needs logprobs\n    add prompt.turns.a.logprobs=true",
        ),
        ("tool_choice: required", "prompt.turns.a.tool_choice: needs tools"),
        ("length_penalty: 2.0", "prompt.turns.a.length_penalty: needs beam search"),
        ("regex: a, choice: [a]", "one of json_schema, regex, choice"),
    ],
)
def test_slot_lacks_what_its_values_need(project: Project, sampling: str, told: str) -> None:
    """The fault names the slot."""
    assert told in refused(project, SERVED, TURNS.format(sampling))


def test_slot_and_experiment_are_taken_together(project: Project) -> None:
    """A slot has what the experiment says, and its own on top."""
    slot = TURNS.format("top_logprobs: 3, choice: [a]")

    assert "prompt.turns.a.regex: an answer obeys one of" in refused(
        project, SERVED, slot, "sampling.logprobs=true", "sampling.regex=a"
    )
    make_plan(project.composed(SERVED, slot, "sampling.logprobs=true"))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("temperature: 0.5", "leave it out, or give 1"),
        ("top_p: 0.5", "leave it out, or give 1"),
        ("top_k: 3", "leave it out"),
        ("min_p: 0.1", "leave it out, or give 0"),
        ("min_tokens: 2", "leave it out, or give 0"),
        ("stop: [a]", "leave it out"),
        ("stop_token_ids: [3]", "leave it out"),
        ("seed: 1", "leave it out"),
        ("logit_bias: {3: 1}", "leave it out"),
        ("presence_penalty: 1", "leave it out, or give 0"),
        ("frequency_penalty: 1", "leave it out, or give 0"),
        ("repetition_penalty: 2", "leave it out, or give 1"),
        ("prompt_logprobs: 1", "leave it out"),
        ("json_schema: {type: object}", "leave it out"),
        ("regex: a", "leave it out"),
        ("choice: [a]", "leave it out"),
        ("tool_choice: required, tools: [{type: function}]", "leave it out, or give none"),
    ],
)
def test_what_beam_search_leaves_unread_is_refused(project: Project, value: str, hint: str) -> None:
    """The answer would be another than what the plan says of it; not so for a row's own beams."""
    name, problem = value.partition(":")[0], "beam search leaves it unread"
    sampling = f"sampling={{{value}, use_beam_search: true}}"

    assert f"sampling.{name}: {problem}\n    {hint}" in refused(project, SERVED, sampling)
    slot = TURNS.format(f"use_beam_search: true, {value}")
    assert f"prompt.turns.a.{name}: {problem}" in refused(project, SERVED, slot)
    make_plan(project.composed(SERVED, f"sampling={{{value}, use_beam_search: '{{{{ row.answer }}}}'}}"))


def test_what_beam_search_reads_or_what_asks_for_nothing_is_taken(project: Project) -> None:
    """Length, count and log probabilities are; a value that changes no answer hides nothing."""
    read = "max_tokens: 3, n: 2, ignore_eos: true, length_penalty: 2.0, logprobs: true, top_logprobs: 4"
    idle = "temperature: 0, top_p: 1, min_p: 0, presence_penalty: 0, repetition_penalty: 1.0"
    make_plan(project.composed(SERVED, f"sampling={{use_beam_search: true, {read}, {idle}}}"))

    assert "sampling.top_logprobs: 4: beam search keeps 2 alternatives of a token" in refused(
        project, SERVED, "sampling={use_beam_search: true, logprobs: true, top_logprobs: 4}"
    )


def test_beam_search_is_refused_where_answers_are_to_come_in_pieces(project: Project) -> None:
    """It has none, and its times would be none of its tokens."""
    told = refused(project, SERVED, "+engine.stream=true", "sampling={use_beam_search: true, n: 2}")

    assert "engine.stream: engine vllm can't stream with use_beam_search" in told


@pytest.mark.parametrize(
    ("engine", "sampling"),
    [
        ("vllm, base_url: 'http://h:1/v1'", "prompt_logprobs: 0"),
        ("sglang, base_url: 'http://h:1/v1'", "return_token_ids: true"),
    ],
)
def test_what_servers_leave_out_of_pieces_is_refused(project: Project, engine: str, sampling: str) -> None:
    """They answer 400 to every such request; without it they stream."""
    asked = [f"engine={{kind: {engine}, stream: true}}", f"sampling={{{sampling}}}"]
    name = sampling.split(":", maxsplit=1)[0]
    kind = engine.split(",", maxsplit=1)[0]

    assert f"engine.stream: engine {kind} can't stream with {name}" in refused(project, *asked)
    make_plan(project.composed(asked[0], "sampling={n: 2, logprobs: true}"))


@pytest.mark.parametrize("kind", ["vllm", "vllm_offline"])
def test_several_greedy_choices_are_refused_by_vllm(project: Project, kind: str) -> None:
    """It answers 400 to each; beams are no choices, and what a row gives is its own."""
    tiny = f"model={{name: {shipped() / 'models' / 'tiny'}}}"
    engine = SERVED if kind == "vllm" else f"engine={{kind: {kind}, device: cpu}}"
    told = refused(project, engine, tiny, "sampling={n: 3, temperature: 0}")

    assert "sampling.n: 3: vLLM gives one greedy choice, and temperature is 0" in told
    if kind == "vllm":
        for taken in (
            "{n: 3, temperature: 0.5}",
            "{n: 3}",
            "{n: 1, temperature: 0}",
            "{n: 3, temperature: 0, use_beam_search: true}",
            "{n: '{{ row.count }}', temperature: 0}",
        ):
            make_plan(project.composed(engine, f"sampling={taken}"))


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (["task=complete", "prompt='{{ row.question }}'"], "for task complete"),
        (["sampling={n: 2, logprobs: true}"], "with logprobs, n"),
        (["sampling={n: 2}"], "with n"),
    ],
)
def test_what_an_engine_gives_at_once_only_is_refused_in_pieces(
    project: Project, asked: list[str], what: str
) -> None:
    """Not so one choice, without log probabilities."""
    streaming = "engine={kind: mistralrs, stream: true}"
    assert f"engine.stream: engine mistralrs can't stream {what}" in refused(project, streaming, *asked)

    tiny = f"model={{name: {shipped() / 'models' / 'tiny'}}}"
    make_plan(project.composed(streaming, tiny, "sampling={n: 1, logprobs: false}"))
    make_plan(project.composed(streaming, tiny, "sampling={n: '{{ row.count }}'}"))


def test_chats_parameters_are_refused_for_a_raw_prompt(project: Project) -> None:
    """Servers leave them unread where no chat template is used."""
    told = refused(
        project,
        "engine={kind: openai_compatible, base_url: 'http://h:1/v1'}",
        "task=complete",
        "sampling={max_tokens: 5, reasoning_effort: low, tools: [{type: function}], tool_choice: auto}",
    )

    for name in ("reasoning_effort", "tools", "tool_choice"):
        assert f"sampling.{name}: engine openai_compatible can't honour {name}" in told


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_engines_in_this_process_do_the_tasks_of_their_servers(kind: str) -> None:
    """The contract shows each of them on the real engine."""
    within = engine_kinds()[f"{kind}_offline"].capabilities

    assert within == engine_kinds()[kind].capabilities
    assert within.tasks > VALUE_TASKS
