"""The experiments that users want to write compose as they stand, and plan with what this machine has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.plan import make_plan
from tests.config.config_kit import Project

EXAMPLES = Path(__file__).parent / "examples"
SERVED = "engine: {kind: openai_compatible, base_url: 'http://localhost:8000/v1'}\n"


@pytest.fixture
def examples(project: Project) -> Project:
    """The examples, with the options, templates and data that they name."""
    for file in EXAMPLES.glob("*.yaml"):
        shutil.copy(file, project.root / "experiments" / file.name)
    for name in ("qwen2.5-7b", "llama3.1-8b", "qwen2.5-72b"):
        text = f"name: org/{name}\ndtype: bfloat16\n{SERVED}topology: {{tensor_parallel_size: 2}}\n"
        project.write(f"conf/model/{name}.yaml", text)
    target = "target: \"{{ row.answer.split('####')[-1] | trim }}\"\n"
    project.write("conf/dataset/gsm8k.yaml", f"kind: jsonl\npath: data/gsm8k.jsonl\n{target}")
    for name in ("gsm8k", "two_turns"):
        project.write(f"data/{name}.jsonl", "{}\n")
    for name in ("gsm8k", "gsm8k_cot"):
        project.write(f"templates/{name}/user.j2", "{{ row.question }}\n")
    return project


def test_one_experiment_on_a_cluster_composes(examples: Project) -> None:
    """The topology is laid over the model's."""
    experiment = examples.one("cluster=slurm", file="a-gsm8k")

    assert experiment.topology.model_dump(exclude_defaults=True) == {"tensor_parallel_size": 2, "replicas": 4}
    assert experiment.sampling.given() == {"temperature": 0, "max_tokens": 1024}
    assert (experiment.cluster.kind, experiment.dataset.target) == (
        "slurm",
        "{{ row.answer.split('####')[-1] | trim }}",
    )


def test_sweep_over_models_prompts_and_linked_keys_composes(examples: Project) -> None:
    """Three models, two prompts, two ways to decode."""
    points = examples.composed(file="b-sweep").points

    assert len(points) == 12
    assert points[1].axes == {
        "model": "qwen2.5-7b",
        "prompt": "gsm8k",
        "sampling.temperature": 0.7,
        "samples": 5,
    }
    assert points[1].experiment.sampling.given() == {"temperature": 0.7, "max_tokens": 1024}
    assert points[0].experiment.scorers["numeric"].report == ("mean", "pass@1", "pass@5", "majority@5")


def test_one_column_of_the_sweep_is_chosen_by_model(examples: Project) -> None:
    """`model=` fixes the axis."""
    assert len(examples.composed("model=qwen2.5-7b", file="b-sweep").points) == 4


def test_conversation_with_slots_composes(examples: Project) -> None:
    """Turns, slots and a scorer of one slot."""
    experiment = examples.one(file="e-two-turns")

    turns = experiment.prompt.turns
    assert turns is not None
    assert [turn.generate.as_ for turn in turns if turn.generate] == ["first", "second"]
    assert experiment.scorers["numeric"].of == "second"


def test_embedding_example_says_what_its_vectors_are(examples: Project) -> None:
    """Task, Parquet dataset and the type of the vectors are read as they are written."""
    examples.write("data/corpus.parquet", "-")
    examples.write("corpus.parquet", "-")
    examples.write("conf/model/qwen3-embed.yaml", f"name: org/qwen3-embed\n{SERVED}")

    experiment = examples.one(file="f-embed")

    assert (experiment.task, experiment.dataset.kind, experiment.dataset.id) == ("embed", "parquet", "doc_id")
    assert (experiment.output.dtype, experiment.cache) == ("float16", False)


@pytest.mark.parametrize(
    ("name", "replaced", "points"),
    [
        ("a-gsm8k", ("engine=fake", "topology.replicas=1"), 1),
        ("b-sweep", ("engine=fake", "topology.replicas=1"), 12),
        ("e-two-turns", ("engine=fake",), 1),
        ("f-embed", ("topology.replicas=1",), 1),
    ],
)
def test_example_that_needs_no_later_part_plans(
    examples: Project, name: str, replaced: tuple[str, ...], points: int
) -> None:
    """As it stands, but for what is replaced.

    The fake stands in for vLLM, which is not installed here, and takes the same topology; it embeds nothing,
    so that the last one asks a server by its address. More replicas than one are not built yet.
    """
    examples.write("corpus.parquet", "-")
    examples.write("conf/model/qwen3-embed.yaml", f"name: org/qwen3-embed\n{SERVED}")

    plan = make_plan(examples.composed(*replaced, file=name))

    assert len(plan.points) == points


def test_examples_metric_that_no_point_has_samples_for_is_refused(examples: Project) -> None:
    """One that some points of the sweep can have is left out of the others, with a note."""
    replaced = ("engine=fake", "topology.replicas=1")
    first, second = make_plan(examples.composed(*replaced, file="b-sweep")).points[:2]

    note = "scorers.numeric.report: pass@5, majority@5 left out where samples: 1 are too few"
    assert [note in planned.notes for planned in (first, second)] == [True, False]
    fewer = (*replaced, "samples=1", "scorers.numeric.report=[pass@5]")
    with pytest.raises(
        ConfigError, match=r"report \(command line\): pass@5 needs samples: 5 or more, not 1$"
    ) as caught:
        make_plan(examples.composed(*fewer, file="b-sweep"))
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("c-providers", ["budget (experiments/c-providers.yaml:4): `budget` is not built yet"]),
        ("d-judge", ["dataset kind runs is not built yet"]),
    ],
)
def test_example_of_a_later_part_is_refused_by_name(
    examples: Project, name: str, messages: list[str]
) -> None:
    """A key that isn't built yet says so, whatever else there is to say."""
    refused = examples.refused(file=name)

    assert [message for message in messages if message not in refused] == []
