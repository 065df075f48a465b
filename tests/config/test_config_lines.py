"""All that is wrong with a file is told at once, and where it was written."""

from __future__ import annotations

import pytest

from runner.errors import ConfigError
from runner.fitting_rows import check_datasets
from runner.plan import make_plan
from tests.config.config_kit import BASE, Project

HEAD = "model: small\ndataset: data/sums.jsonl\n"
CASE = "experiments/case.yaml"

PLANNED = {
    "what an engine can't honour": (
        BASE + "  seed: 3\nengine: {kind: mistralrs}\n",
        "sampling.seed ({}:6): engine mistralrs can't honour seed",
    ),
    "schema that is none": (
        BASE + "  json_schema: {type: 5}\nengine: {kind: mistralrs}\n",
        "sampling.json_schema ({}:6): not a JSON Schema",
    ),
    "metric without samples": (
        BASE + "scorers:\n  e: {kind: exact_match, target: a, report: [pass@5]}\n",
        "scorers.e.report ({}:7): pass@5 needs samples",
    ),
    "slot that isn't there": (
        BASE + "scorers:\n  e:\n    kind: exact_match\n    target: a\n    of: zz\n",
        "scorers.e.of ({}:10): the prompt has no slot",
    ),
    "no target": (BASE + "scorers:\n  exact_match: {}\n", "scorers.exact_match ({}:7): has no target"),
    "broken prompt": (
        HEAD + 'prompt: "{{ row.q }"\n',
        "prompt.user ({}:3): template prompt.user:1: ",
    ),
    "unknown filter": (
        BASE + "scorers: [exact_match]\ndataset.target: '{{ row.answer | foo }}'\n",
        "dataset.target ({}:7): template dataset.target:1: ",
    ),
    "column of no row": (
        HEAD + 'prompt: "{{ row.qq }}"\n',
        "prompt ({}:3): ",
    ),
    "reserved name of a slot": (
        HEAD + "prompt:\n  turns:\n    - user: a\n    - generate: a\n    - user: b\n    - generate: row\n",
        "prompt.turns.3.generate ({}:8): a slot can't be named 'row'",
    ),
    "value of a slot": (
        HEAD + "prompt:\n  turns:\n    - user: a\n    - generate:\n        as: e\n        n: '{{ 1 | f }}'\n",
        "prompt.turns.e.n ({}:8): template prompt.turns.e.n:1: ",
    ),
    "point of a sweep": (
        HEAD + 'prompt: a b\nsweep:\n  prompt:\n    - "{{ row.question }}"\n    - "{{ row.q }"\n',
        "prompt.user [prompt='{{{{ row.q }}'] ({}:7): template prompt.user:1: ",
    ),
}  # fmt: skip


def told(project: Project, text: str, *overrides: str) -> str:
    """Return what a plan and its rows refuse."""
    with pytest.raises(ConfigError) as caught:
        check_datasets(make_plan(project.composed(*overrides, file=project.file(text))).points)
    return str(caught.value)


@pytest.mark.parametrize("case", PLANNED)
def test_fault_of_a_plan_has_its_line(project: Project, case: str) -> None:
    """As one of the config's own has."""
    text, message = PLANNED[case]

    assert message.format(CASE) in told(project, text)


def test_value_of_the_command_line_is_called_that(project: Project) -> None:
    """The file has another there."""
    text = (
        BASE + "engine: {kind: mistralrs}\nscorers:\n  e: {kind: exact_match, target: '{{ row.answer }}'}\n"
    )

    message = told(project, text, "+sampling.seed=3", "scorers.e.target='{{ row.x | foo }}'")

    assert "sampling.seed (command line): engine mistralrs" in message
    assert "scorers.e.target (command line): template scorers.e.target:1: " in message


def test_value_of_an_option_names_its_file(project: Project) -> None:
    """Be it brought by the model."""
    project.write(
        "conf/model/seeded.yaml", "name: org/seeded\nengine: {kind: mistralrs}\nsampling:\n  seed: 3\n"
    )

    assert "sampling.seed (conf/model/seeded.yaml:4): engine" in told(project, BASE, "model=seeded")


def test_faults_of_a_file_with_defaults_have_lines(project: Project) -> None:
    """Hydra composes it."""
    text = (
        "defaults: [/sampling: greedy, _self_]\nmodel: small\nprompt: a b\ndataset: {path: data/sums.jsonl}\n"
    )
    text += "engine: {kind: mistralrs}\nsampling:\n  seed: 3\n"

    assert f"sampling.seed ({CASE}:7): engine mistralrs" in told(project, text)


def test_template_of_a_folder_is_named_too(project: Project) -> None:
    """Its line is that of the file, beside the key that names the folder."""
    project.write("templates/bad/user.j2", "a\n{{ row.q }\n")

    message = told(project, HEAD + "prompt: bad\n")

    assert f"prompt.template ({CASE}:3): template bad/user.j2:2: " in message


WRONG = """\
modle: tiny
prompts: x
dataset:
  path: data/sums.jsonl
  limt: 3
sampling: {temperature: hot}
samples: 0
cluster: slrum
scorers:
  e: {kind: exct}
  r: {kind: regex, pattern: "(("}
"""
TOLD = (
    "modle (C:1): unknown key\n    did you mean model?",
    "prompts (C:2): unknown key\n    did you mean prompt?",
    "dataset.limt (C:5): unknown key",
    "samples (C:7): 0 given",
    "cluster (C:8): no option",
    "scorers.e.kind (C:10): there is no kind exct",
    "scorers.r.pattern (C:11): invalid regular expression '(('",
)


def test_faulty_sweep_hides_no_other_fault(project: Project) -> None:
    """What its axes would have given is not called wrong or missing."""
    sweep = (
        "sweep:\n  sampling.temperature: 3\n  foo: [1]\n  top: {sampling.top_p: [2]}\n  max_errors: [0, 1]\n"
    )

    message = project.refused(file=project.file(WRONG + sweep))

    for fault in (
        *TOLD,
        "sweep.sampling.temperature (C:13): 3 given",
        "sweep.foo (C:14)",
        "sweep.top (C:15)",
    ):
        assert f"\n{fault}".replace("(C", f"({CASE}") in f"\n{message}"
    assert f"max_errors [max_errors=0] ({CASE}:16): 0 given" in message
    assert message.count("sampling.temperature (") == 1


@pytest.mark.parametrize("sweep", ["{model: small}", "[{model: [small]}]", "{two: [{model: small}, 3]}"])
def test_what_a_faulty_sweep_may_give_is_not_called_missing(project: Project, sweep: str) -> None:
    """It is there as soon as the sweep is mended."""
    text = f"prompt: a b\ndataset: data/sums.jsonl\nsamples: 0\nsweep: {sweep}\n"

    message = project.refused(file=project.file(text))

    assert "sweep" in message
    assert f"samples ({CASE}:3): 0 given" in message
    assert "must be given" not in message


def test_misspelt_key_is_told_and_not_that_its_own_is_missing(project: Project) -> None:
    """One mistake is one message; a key that is missing beside it is still told."""
    message = project.refused(file=project.file("modle: small\ndataset: data/sums.jsonl\n"))

    assert f"modle ({CASE}:1): unknown key\n    did you mean model?" in message
    assert "model: must be given" not in message
    assert "prompt: must be given" in message


BROKEN = """\
model: small
prompt: "{{ row.q }"
dataset:
  path: data/sums.jsonl
  target: "{{ row.answer | foo }}"
"""


@pytest.mark.parametrize(
    "other",
    [
        "scorers:\n  r: {kind: regex, pattern: '(('}\n",
        "samples: 0\nscorers: [exact_match]\n",
        "scorers: [exact_match]\n",
    ],
    ids=["scorer", "setting", "plan"],
)
def test_all_broken_templates_are_told_with_other_faults(project: Project, other: str) -> None:
    """Whether the config is an experiment or not."""
    message = told(project, BROKEN + other)

    assert f"prompt.user ({CASE}:2): template prompt.user:1: " in message
    assert f"dataset.target ({CASE}:5): template dataset.target:1: " in message
    assert message.count("template ") == 2


def test_what_waits_for_another_mistake_is_not_called_one(project: Project) -> None:
    """No task is known, texts are yet to be made, or no scorer reads a target."""
    pair = "task: scor\nprompt: {pair: [a, b]}\n"
    made = "prompt: {template: '${name}'}\nscorers:\n  e: {kind: exact_match, target: '{{ ${name}'}\n"
    made += "samples: 0\n"
    idle = "prompt: a b\nsamples: 0\ndataset.target: '{{ row.x | foo }}'\n"

    for text in (pair, made, idle):
        assert project.refused(file=project.file(HEAD + text)).count(f"({CASE}:") == 1


def test_missing_dataset_is_told_with_other_faults(project: Project) -> None:
    """Once, also where nothing else is wrong."""
    for other in ("samples: 0\n", ""):
        message = project.refused(file=project.file(HEAD.replace("sums", "sum") + "prompt: a b\n" + other))

        assert message.count(f"dataset.path ({CASE}:2): no file data/sum.jsonl") == 1
        assert ("samples (" in message) == bool(other)


def test_missing_folder_of_templates_is_told_once(project: Project) -> None:
    """It is one fault, whoever finds it."""
    message = project.refused("samples=1", file=project.file(HEAD + "prompt: {template: qaa}\n"))

    assert message.count("qaa") == 1
