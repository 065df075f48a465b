"""Points that a run was begun without are told of whenever somebody looks at it."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING

SWEEP = ("sums.yaml", "-m", "sampling.temperature=0,-1", "--skip-refused")
FAULT = "sampling.temperature [sampling.temperature=-1]"
LEFT = "left out: 1 of 2 points; a resume passes it over: fix that, then run the same command again"


def test_status_tells_of_refused_points(project: MakeProject) -> None:
    """A day later: which were left out and why, a line each, in the launch's words, and how to run them."""
    made = project({})
    ran = made.ran("run", *SWEEP)
    status = made.ran("status")

    (launched,) = (line for line in ran.lines if line.startswith("  refused: "))
    assert launched.startswith(f"  refused: {FAULT}")
    for outcome in (ran, status):
        assert outcome.lines.count(launched.strip()) == 1
        assert sum(line.startswith(LEFT) for line in outcome.lines) == 1


def test_refused_points_stand_in_json_and_in_the_run_folder(project: MakeProject) -> None:
    """Index, values of the axes and every fault; of a run that has none, an empty list."""
    made = project({})
    made.ran("run", "sums.yaml")
    assert made.ran("status", "--json").json["refused"] == []
    made.ran("run", "sums.yaml", "-m", "sampling.temperature=0,-1", "sampling.top_p=2,1", "--skip-refused")

    refused = made.ran("status", "--json").json["refused"]

    assert refused == json.loads((made.last.path / "resolved.json").read_text())["refused"]
    axes = [tuple(one["axes"].values()) for one in refused]
    assert [(one["index"], len(one["faults"])) for one in refused] == [(0, 1), (2, 2), (3, 1)]
    assert axes == [(0, 2), (-1, 2), (-1, 1)]
    told = [line for line in made.ran("status").lines if line.startswith("refused: ")]
    assert [line.endswith(" (and 1 more fault)") for line in told] == [False, True, False]


def test_run_without_refused_points_says_nothing_of_them(project: MakeProject) -> None:
    """As without the flag."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", "-m", "sampling.temperature=0,1", "--skip-refused")

    assert "refused" not in outcome.out
    assert "left out" not in outcome.out


def test_many_refused_points_are_counted(project: MakeProject) -> None:
    """Twenty are shown, at the launch and after it; the run folder has them all."""
    made = project({})
    values = ",".join(["0", *(str(-number) for number in range(1, 24))])

    outcome = made.ran("run", "sums.yaml", "-m", f"sampling.temperature={values}", "--skip-refused")

    assert sum(line.strip().startswith("refused: ") for line in outcome.lines) == 2 * 20
    assert outcome.out.count("... and 3 more refused points") == 2
    assert f"runner status {made.last.name} --json" in outcome.out


def test_resume_passes_refused_points_over_and_says_so(project: MakeProject) -> None:
    """Whether something is missing or not."""
    made = project({})
    made.ran("run", *SWEEP, *FAILING, code=3)

    resumed = made.ran("resume", code=3)
    first, second, *_ = resumed.lines

    assert first.startswith(f"resuming {made.last.name}: 4 of 6 results missing")
    assert second.startswith(f"  refused: {FAULT}")
    assert sum(line.startswith(LEFT) for line in resumed.lines) == 1


@pytest.mark.parametrize("verb", ["resume", "cancel"])
def test_refused_point_that_is_named_is_told_why_it_is_not_there(project: MakeProject, verb: str) -> None:
    """By its index, as the lines of status have it."""
    made = project({})
    made.ran("run", *SWEEP)

    refused = made.ran(verb, made.last.name, "1", code=2)

    assert refused.err.startswith(f"runner: point 1 of {made.last.name} was refused and left out: {FAULT}")
    assert "fix that, then run the same command again" in refused.err


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_refused_point_that_shows_a_secret_is_written_nowhere(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A secret that a variable brought into its fault is refused, as in a point that runs."""
    monkeypatch.setenv("LAB_TOKEN", "swordfish")
    made = project({})
    prompts = "prompt='{{ row.question }}','{{ ${oc.env:LAB_TOKEN} }}'"

    refused = made.ran(verb, "sums.yaml", "-m", prompts, "--skip-refused", code=2)

    assert "the value of LAB_TOKEN would be written into the run folder" in refused.err
    assert "swordfish" not in refused.out + refused.err
    assert not (made.root / "runs").exists()


@pytest.mark.parametrize(
    "engine",
    [
        "{kind: openai_compatible, base_url: opensesame, headers_env: {authorization: MY_AUTH}}",
        "{kind: openai_compatible, base_url: 'http://127.0.0.1:1/opensesame', api_key_env: MY_AUTH}",
    ],
    ids=["no experiment", "no server"],
)
def test_secret_that_a_refused_point_alone_names_is_written_nowhere(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """Whatever its variable is called."""
    monkeypatch.setenv("MY_AUTH", "opensesame")
    made = project({"conf/engine/mine.yaml": engine})

    refused = made.ran("run", "sums.yaml", "-m", "engine=mine,fake", "--skip-refused", code=2)

    assert "the value of MY_AUTH would be written into the run folder" in refused.err
    assert "opensesame" not in refused.out + refused.err
    assert not (made.root / "runs").exists()


def test_damaged_list_of_refused_points_is_named(project: MakeProject) -> None:
    """One run, or all: no traceback."""
    made = project({})
    made.ran("run", *SWEEP)
    file = made.last.path / "resolved.json"
    file.write_bytes(file.read_bytes()[:-5])

    assert made.ran("status", code=2).err.startswith(f"runner: {file} is damaged (")
    assert f"{file} is damaged (" in made.ran("status", "--all", code=1).out
