"""Sweeps, in the file and on the command line."""

from __future__ import annotations

import pytest

from runner.config import compose
from runner.errors import ConfigError
from tests.config.config_kit import BASE, Project

AXES = """\
sweep:
  model: [small, served]
  decode:
    - {sampling.temperature: 0, samples: 1}
    - {sampling.temperature: 1, samples: 5}
"""


def test_first_axis_is_the_slowest(project: Project) -> None:
    """Points stand in the order of nested loops."""
    file = project.file(BASE + "sweep: {sampling.temperature: [0, 1], samples: [1, 2]}\n")

    assert project.axes(file=file) == [[0, 1], [0, 2], [1, 1], [1, 2]]


def test_linked_keys_are_one_axis(project: Project) -> None:
    """A list of maps moves its keys together; the axis's own name is a label."""
    points = project.composed(file=project.file(BASE + AXES)).points

    assert len(points) == 4
    assert points[1].axes == {"model": "small", "sampling.temperature": 1, "samples": 5}
    assert points[1].experiment.samples == 5


def test_swept_choice_brings_its_own_engine(project: Project) -> None:
    """A model on an axis is chosen as anywhere else."""
    points = project.composed(file=project.file(BASE + AXES)).points

    assert [point.experiment.engine.kind for point in points] == ["fake"] * 2 + ["openai_compatible"] * 2


def test_value_on_command_line_fixes_an_axis(project: Project) -> None:
    """The axis is gone, and a note says so."""
    composition = project.composed("model=small", file=project.file(BASE + AXES))

    assert len(composition.points) == 2
    assert "model: command line fixes what the sweep varied" in composition.points[0].notes


def test_value_fixes_one_key_of_a_linked_axis(project: Project) -> None:
    """The other keys of the axis still vary."""
    composition = project.composed("samples=3", "model=small", file=project.file(BASE + AXES))

    assert [point.axes for point in composition.points] == [
        {"sampling.temperature": 0},
        {"sampling.temperature": 1},
    ]
    assert {point.experiment.samples for point in composition.points} == {3}


def test_choice_on_command_line_fixes_the_keys_below_it(project: Project) -> None:
    """No swept key of an option that wasn't chosen survives."""
    file = project.file(BASE + "sweep: {sampling.temperature: [0, 1]}\n")

    assert project.one("sampling=hot", file=file).sampling.temperature == 2


def test_key_below_a_swept_choice_overlays_each(project: Project) -> None:
    """An overlay doesn't fix the axis."""
    file = project.file(BASE + "sweep: {model: [small, served]}\n")

    points = project.composed("model.dtype=float16", file=file).points

    assert [point.experiment.model.dtype for point in points] == ["float16", "float16"]


def test_command_line_axes_multiply_with_the_files(project: Project) -> None:
    """-m takes Hydra's grammar."""
    file = project.file(BASE + "sweep: {samples: [1, 2]}\n")

    axes = project.axes("sampling.top_k=range(1,3)", "model=small,served", file=file, multirun=True)

    assert axes[:3] == [[1, 1, "small"], [1, 1, "served"], [1, 2, "small"]]
    assert len(axes) == 8


def test_range_steps_through_the_numbers_as_typed(project: Project) -> None:
    """0.7 is no sum of floats, and an end that the steps reach is left out."""
    points = project.composed("sampling.top_p=range(0.1,1,0.1)", multirun=True).points

    assert [point.axes["sampling.top_p"] for point in points] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert points[6].experiment.sampling.top_p == 0.7
    assert project.axes("sampling.temperature=range(1,1.3,0.1)", multirun=True) == [[1.0], [1.1], [1.2]]
    assert project.axes("samples=range(3,1,-1)", multirun=True) == [[3], [2]]


def test_axis_on_command_line_takes_the_place_of_the_files(project: Project) -> None:
    """The same key is swept once."""
    file = project.file(BASE + "sweep: {samples: [1, 2]}\n")

    assert project.axes("samples=3,4,5", file=file, multirun=True) == [[3], [4], [5]]


def test_glob_takes_options_by_pattern(project: Project) -> None:
    """`glob()` expands to the group's options."""
    assert project.axes("sampling=glob([hot,warm])", multirun=True) == [["hot"], ["warm"]]


def test_maps_on_a_groups_axis_are_its_values(project: Project) -> None:
    """Whole values may be swept too."""
    file = project.file(BASE + "sweep: {sampling: [{top_p: 0.5}, hot]}\n")

    points = project.composed(file=file).points

    assert [point.experiment.sampling.given() for point in points] == [{"top_p": 0.5}, {"temperature": 2}]


def test_child_replaces_the_sweep_of_what_it_extends(project: Project) -> None:
    """`sweep` is a value like any other; null drops it."""
    project.file(BASE + "sweep: {samples: [1, 2]}\n", "parent")

    assert project.axes(file=project.file("extends: parent\nsweep: {samples: [3]}\n")) == [[3]]
    assert project.axes(file=project.file("extends: parent\nsweep: null\n")) == [[]]
    assert project.axes("~sweep", file="parent") == [[]]


def test_same_point_twice_is_kept_and_told(project: Project) -> None:
    """A duplicate is not the runner's to drop."""
    points = project.composed(file=project.file(BASE + "sweep: {samples: [1, 1]}\n")).points

    assert len(points) == 2
    assert "point 1 is the same as point 0" in points[1].notes


def test_faults_name_the_points_they_belong_to(project: Project) -> None:
    """What is wrong everywhere is told once; what isn't, with the values of the axes."""
    file = project.file(BASE + "tsak: chat\nsweep: {sampling.temperature: [0, -1], samples: [1, 2]}\n")

    message = project.refused(file=file)

    assert message.count("unknown key") == 1
    assert "tsak (experiments/case.yaml:6): unknown key" in message
    assert "sampling.temperature [sampling.temperature=-1, samples=1 and 1 more]" in message


def test_sweep_in_a_plain_file_works_alike(project: Project) -> None:
    """A file with `defaults:` may hold a sweep."""
    text = "defaults: [{/model: small}, {/sampling: hot}, _self_]\nprompt: hi you\ndataset: data/sums.jsonl\n"
    file = project.file(text + "sweep: {sampling: [greedy, hot], samples: [1, 2]}\n")

    points = project.composed("sampling.top_k=4", file=file).points

    assert [point.experiment.sampling.temperature for point in points] == [0, 0, 2, 2]
    assert {point.experiment.sampling.top_k for point in points} == {4}


@pytest.mark.parametrize("defaults", ["", "defaults: [_self_]\n"], ids=["ours", "plain"])
def test_refused_points_can_be_parted_from_the_others(project: Project, defaults: str) -> None:
    """Each keeps its place among all, with its own faults."""
    file = project.file(f"{defaults}{BASE}")
    words = ("sampling.temperature=-1,0", "model=small,nope")

    composition = compose(file, words, multirun=True, skip_refused=True)

    assert [(point.index, *point.axes.values()) for point in composition.points] == [(2, 0, "small")]
    assert [point.index for point in composition.refused] == [0, 1, 3]
    assert [len(point.faults) for point in composition.refused] == [1, 2, 1]
    assert "nope is neither an option" in str(composition.refused[2].faults[0])


def test_points_that_are_all_refused_are_told(project: Project) -> None:
    """Nothing would be left to run."""
    with pytest.raises(ConfigError, match=r"-1 given(.*\n)+.*-2 given"):
        compose(project.file(BASE), ["sampling.temperature=-1,-2"], multirun=True, skip_refused=True)


def test_point_that_may_show_a_key_refuses_all(project: Project) -> None:
    """A run of the others would write the override down, key and all."""
    words = [
        "engine={kind: openai_compatible, base_url: 'http://localhost:1'}",
        "engine.api_key_env=A,sk-b-1",
    ]

    with pytest.raises(ConfigError, match="it may be a key") as caught:
        compose(project.file(BASE), words, multirun=True, skip_refused=True)

    assert "sk-b-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("name: lk-${sampling.temperature}\nsweep: {sampling.temperature: [0, 1, 2]}\n", ()),
        ("sweep: {name: [lk-0, lk-1, lk-2]}\n", ()),
        ("", ("name=lk-0,lk-1,lk-2",)),
    ],
)
def test_points_of_different_names_are_refused(
    project: Project, text: str, overrides: tuple[str, ...]
) -> None:
    """One run has one folder."""
    refused = project.refused(*overrides, file=project.file(BASE + text), multirun=True)

    assert refused.startswith("name: its points come to different names: lk-0, lk-1, ...; a name is that of")
