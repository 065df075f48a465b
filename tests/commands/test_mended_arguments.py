"""What the command line says of arguments that are missing, and of numbers as they were typed."""

from __future__ import annotations

import pytest

from tests.commands.conftest import MakeProject


@pytest.mark.parametrize("command", ["run", "plan", "plan samples=3", "render"])
def test_missing_experiment_is_told_with_those_there_are(project: MakeProject, command: str) -> None:
    """The user's own and those that ship, by the names that the command takes."""
    made = project({"experiments/mine.yaml": "extends: addition\n"})

    outcome = made.ran(*command.split(), code=2)

    assert outcome.err.startswith("runner: name an experiment: its file, such as experiment.yaml, or one of ")
    assert {"mine", "addition", "two_turns"} <= set(outcome.err.strip().replace(",", "").split())


@pytest.mark.parametrize("option", [["--cfg", "job"], ["--info", "defaults"]])
def test_config_of_no_experiment_is_told_alike(project: MakeProject, option: list[str]) -> None:
    """Whatever is asked of the experiment."""
    assert "name an experiment: " in project({}).ran("plan", *option, code=2).err


def test_unknown_option_is_told_with_those_there_are(project: MakeProject) -> None:
    """Each once, whichever others its help names."""
    outcome = project({}).ran("run", "sums.yaml", "-x", code=2)

    known = "--help, --multirun, --runs, --skip-refused, --cfg, --resolve, --info, --verbose, --wait"
    assert outcome.err == f"runner: run takes no -x; there are: {known}\n"


def test_plan_and_points_of_a_range_show_numbers_as_typed(project: MakeProject) -> None:
    """0.7 is no sum of floats, in the plan, in folders' names and in what is sent."""
    made = project({})
    axis = "sampling.temperature=range(0.6,0.9,0.1)"
    planned = made.ran("plan", "sums.yaml", "-m", axis, "--json").json

    made.ran("run", "sums.yaml", "-m", axis)

    assert [point["sampling"]["temperature"] for point in planned["points"]] == [0.6, 0.7, 0.8]
    assert sorted(folder.name for folder in (made.last.path / "points").iterdir()) == [
        f"{index}-sampling.temperature={value}" for index, value in enumerate((0.6, 0.7, 0.8))
    ]


def test_deletion_of_nothing_stops_a_run(project: MakeProject) -> None:
    """A typo isn't a run with other values than asked."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "~sampling.temprature", code=2)

    assert "sampling.temprature (command line): nothing to delete" in outcome.err
    assert not (made.root / "runs").exists()
