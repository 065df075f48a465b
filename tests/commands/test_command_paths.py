"""A run is found by its name, a beginning of that, or any path to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import MakeProject

FORMS = [
    "last",
    "sums/last",
    "sums/last/",
    "{name}",
    "{name}/",
    "{prefix}",
    "runs/last",
    "runs/sums/last",
    "./runs/sums/last/",
    "runs/{name}",
    "runs/{name}/",
    "runs/{prefix}",
    "{root}/runs/sums/last",
    "{root}/runs/{name}/",
    "{root}/runs/{prefix}",
]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("status", "{name}  complete"),
        ("logs", "0-parrot: complete"),
        ("cancel", "nothing to cancel: no job of {name}"),
        ("resume", "{name}: nothing is missing"),
        ("rescore", "rescored {name}"),
    ],
)
def test_run_is_found_by_every_form(project: MakeProject, command: str, said: str) -> None:
    """Relative or absolute, with or without a slash at the end, in every command that takes a run."""
    made = project({})
    made.ran("run", "sums.yaml", "dataset.limit=1")
    name = made.last.name

    for form in FORMS:
        outcome = made.ran(command, form.format(name=name, prefix=name[:-2], root=made.root))
        assert outcome.lines[0].startswith(said.format(name=name)), form


@pytest.mark.parametrize("form", ["{runs}/last", "{runs}/sums/last", "{runs}/{name}", "{runs}/{prefix}"])
def test_run_elsewhere_is_found_by_its_path(project: MakeProject, tmp_path: Path, form: str) -> None:
    """In a folder of runs that is not this project's."""
    made = project({})
    made.ran("run", "sums.yaml", "--runs", str(tmp_path / "far"))
    (path,) = (tmp_path / "far" / "sums").iterdir()
    name = f"sums/{path.name}"

    outcome = made.ran("status", form.format(runs=tmp_path / "far", name=name, prefix=name[:-2]))

    assert outcome.lines[0].startswith(f"{name}  complete")


def test_point_is_found_behind_every_form_of_its_run(project: MakeProject) -> None:
    """`cancel` takes a point at the end of a path too."""
    made = project({})
    made.ran("run", "sums.yaml", "-m", "sampling.temperature=0,1")

    for form in (
        "last/0",
        "sums/last/0",
        "runs/sums/last/0",
        "runs/sums/last/points/0",
        f"runs/{made.last.name}/0/",
    ):
        assert "has all its 6 results" in made.ran("cancel", form).lines[0]


@pytest.mark.parametrize("form", ["runs/sums", "sums", "runs/sums/2"])
def test_path_that_names_several_runs_is_told(project: MakeProject, form: str) -> None:
    """With their names to choose from."""
    made = project({})
    for _ in range(2):
        made.ran("run", "sums.yaml")

    told = made.ran("status", form, code=2).err

    assert f"{form!r} names 2 runs; give more of the name: sums/2" in told
    assert ", or sums/last for the newest" in told


@pytest.mark.parametrize("form", ["runs/smus/last", "runs/nothing", "nowhere/sums/last"])
def test_path_that_names_no_run_is_told(project: MakeProject, form: str) -> None:
    """With the place that was looked at."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert f"no run {form!r} in {made.root}/runs" in made.ran("status", form, code=2).err
