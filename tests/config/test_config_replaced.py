"""A dataset that is replaced takes its target along, and the message says so."""

from __future__ import annotations

import pytest

from tests.config.config_kit import BASE, Project

DATASET = 'dataset: {path: data/sums.jsonl, target: "{{ row.answer }}"}'
FILE = BASE.replace("dataset: data/sums.jsonl", DATASET) + "scorers: [exact_match, numeric]\n"
LOST = "names no target, which scorers exact_match, numeric need: it replaces"
HINT = "to change the file alone, give or sweep dataset.path; or name dataset.target too"
HERE = "{path: data/sums.jsonl, target: '{{ row.answer }}'} (experiments/case.yaml:3), which names one"


def test_dataset_of_the_command_line_replaces_the_target(project: Project) -> None:
    """One message, whichever scorers need the target: what replaced which, and what to do instead."""
    refused = project.refused("dataset=data/sums.csv", file=project.file(FILE))

    assert refused == f"dataset (command line): {LOST} {HERE}\n    {HINT}"


@pytest.mark.parametrize("multirun", [False, True])
def test_sweep_of_datasets_replaces_the_target(project: Project, multirun: bool) -> None:
    """Be it the sweep of the file that has the target too, or of the command line."""
    swept = "" if multirun else "sweep:\n  dataset: [data/sums.jsonl, data/sums.csv]\n"
    overrides = ["dataset=data/sums.jsonl,data/sums.csv"] if multirun else []

    refused = project.refused(*overrides, file=project.file(FILE + swept), multirun=multirun)

    where = "command line" if multirun else "experiments/case.yaml:8"
    assert refused.startswith(f"dataset ({where}): {LOST} {HERE}")


def test_only_points_that_lose_the_target_are_told(project: Project) -> None:
    """Another value of the sweep may be an option that has one."""
    swept = "sweep: {dataset: [sums, data/sums.csv]}\n"

    assert project.refused(file=project.file(FILE + swept)).startswith("dataset [dataset=data/sums.csv] (")


@pytest.mark.parametrize("before", ["~dataset", "dataset=nowhere", "dataset=data/sums.jsonl"])
def test_what_names_no_target_has_none_to_lose(project: Project, before: str) -> None:
    """What is replaced may be deleted, or an option that isn't there: the target is asked for as ever."""
    composed = project.composed(before, "dataset=data/sums.csv", file=project.file(FILE))

    assert composed.points[0].experiment.dataset.target is None


def test_dataset_of_a_child_replaces_the_target_of_an_option(project: Project) -> None:
    """An option is looked into; the value of the child that replaces it has its own line."""
    project.file(FILE.replace(DATASET, "dataset: sums"), "parent")

    refused = project.refused(file=project.file("extends: parent\ndataset: data/sums.csv\n"))

    assert refused.startswith(f"dataset (experiments/case.yaml:2): {LOST} sums (experiments/parent.yaml:3)")


def test_dataset_of_a_file_with_defaults_is_told_too(project: Project) -> None:
    """Hydra composes what is replaced; the command line still replaces it."""
    refused = project.refused("dataset=data/sums.csv", file=project.file("defaults: [_self_]\n" + FILE))

    assert refused.startswith(f"dataset (command line): {LOST} ")
    assert "(experiments/case.yaml:4), which names one" in refused


@pytest.mark.parametrize(
    "overrides",
    [
        ("dataset.path=data/sums.csv",),
        ("dataset=data/sums.csv", "dataset.target='{{ row.answer }}'"),
        ("dataset=data/sums.csv", "scorers={exact_match: {target: '{{ row.answer }}'}}"),
        ("dataset=data/sums.csv", "scorers=null"),
        ("dataset=sums",),
    ],
    ids=" ".join,
)
def test_replaced_target_that_is_not_needed_is_no_fault(project: Project, overrides: tuple[str, ...]) -> None:
    """A target that is kept, given anew, or asked for by no scorer."""
    assert project.one(*overrides, file=project.file(FILE)).dataset.path.endswith(("sums.csv", "sums.jsonl"))


def test_multirun_without_a_sweep_is_noted(project: Project) -> None:
    """It is no fault; where something is swept nothing is said."""
    note = "-m: nothing is swept; an axis is several values, such as sampling.temperature=0,1"

    fixed = project.file(BASE + "sweep: {samples: [1, 2]}\n", "fixed")
    (point,) = project.composed("sampling.top_p=1", multirun=True).points
    swept = project.composed("sampling.top_p=1,0.5", multirun=True).points
    in_file = project.composed(file=project.file(BASE + "sweep: {samples: [1]}\n"), multirun=True).points

    assert note in point.notes
    assert not [n for one in (*swept, *in_file) for n in one.notes if n.startswith("-m")]
    assert project.composed("samples=3", file=fixed, multirun=True).points[0].notes == (
        "samples: command line fixes what the sweep varied",
    )
    assert not [n for n in project.notes("sampling.top_p=1") if n.startswith("-m")]
