from __future__ import annotations

import shlex

import pytest

from tests.commands.conftest import MakeProject

FAILING = ("engine.error=server_error", "engine.error_rate=0.5", "engine.max_attempts=1")


def test_run_ends_with_a_table_and_its_results(project: MakeProject) -> None:
    """The score, where the results are, and what to do next: see which are wrong."""
    made = project({})
    outcome = made.ran("run", "sums.yaml")

    assert [line.split() for line in outcome.lines[1:3]] == [
        ["point", "answered", "exact_match"],
        ["0", "6", "0.500", "[0.188,", "0.812]"],
    ]
    folder = outcome.lines[0].split()[-1]
    assert outcome.lines[-3:] == [
        f"run:     {folder}",
        f"results: {folder}/points/0/results.jsonl",
        f"next:    runner show {made.last.name} --wrong",
    ]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["sampling.temperature=0.7"], "show RUN --wrong"),
        (["dataset.limit=3"], "show RUN"),
        (["scorers=[]"], "show RUN"),
        (["-m", "sampling.temperature=0,1"], "show RUN --wrong"),
        (["--runs", "else where"], "show 'else where/RUN' --wrong"),
    ],
    ids=["wrong", "all right", "no scorers", "sweep", "elsewhere"],
)
def test_every_complete_run_names_a_next_command(
    project: MakeProject, words: list[str], command: str
) -> None:
    """Run, resume and status alike; it can be typed as it stands."""
    made = project({})

    ran = made.ran("run", "sums.yaml", *words)
    where = ran.lines[-3].removeprefix("run:     ")
    name = where.removeprefix("runs/").removeprefix("else where/")

    assert ran.lines[-1] == f"next:    runner {command.replace('RUN', name)}"
    assert made.ran("status", where).lines[-3:] == made.ran("resume", where).lines[-3:] == ran.lines[-3:]
    made.ran(*shlex.split(ran.lines[-1])[2:])


def test_run_of_what_is_cached_starts_no_job(project: MakeProject) -> None:
    """The second run of the same experiment asks nothing."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("run", "sums.yaml")

    assert "100 % cached, 0 requests" in outcome.lines[0]
    assert made.ran("status", "--json").json["jobs"][0]["state"] == "not_submitted"


def test_run_that_is_incomplete_names_resume(project: MakeProject) -> None:
    """Rows that failed for now are counted as missing, with the command that asks for them."""
    made = project({})

    outcome = made.ran("run", "sums.yaml", *FAILING, code=3)

    assert "missing" in outcome.lines[1]
    assert outcome.lines[-1] == f"next:    runner resume {made.last.name}"


def test_run_elsewhere_names_its_folder(project: MakeProject) -> None:
    """A run that isn't looked up from here is named by its path, so that the next command works."""
    made = project({"deep/conf/sampling/hot.yaml": "temperature: 2\n", "deep/sums.yaml": ""})
    (made.root / "deep" / "sums.yaml").write_text((made.root / "sums.yaml").read_text())
    (made.root / "rows.jsonl").rename(made.root / "deep" / "rows.jsonl")

    outcome = made.ran("run", "deep/sums.yaml", *FAILING, code=3)

    command = outcome.lines[-1].removeprefix("next:    runner ")
    assert command.startswith("resume deep/runs/sums/")
    made.ran(*command.split(), code=3)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "sms.yaml"], "did you mean sums.yaml?"),
        (["run", "sums.yaml", "sampling.temprature=1"], "temperature"),
        (["run", "sums.yaml", "--resolve"], "--resolve goes with --cfg job"),
        (["plan", "sums.yaml", "dataset.path=raws.jsonl"], "rows.jsonl"),
        (["render", "sums.yaml", "--rows", "0"], "--rows takes a number from 1"),
        (["render", "sums.yaml", "--offset", "9"], "no row number 9"),
        (["render", "sums.yaml", "--point", "7"], "there is no point '7'"),
        (["status", "nothing"], "there are no runs in"),
        (["resume", "last", "sampling.temperature=1"], "resume takes no overrides"),
        (["resume", "sampling.temperature=1"], "resume takes no overrides"),
        (["resume", "one", "two", "three"], "resume takes one run"),
        (
            ["rescore", "last", "sampling.temperature=1"],
            "rescore changes scorers, dataset.target and failed_rows only",
        ),
        (["cache", "explain"], "takes an experiment file"),
        (["cache", "stats", "sums.yaml"], "cache stats takes no file"),
        (["cache", "explain", "sums.yaml", "--row", "r9"], "no row 'r9'"),
        (["init", "sums.yaml"], "is a file"),
        (["schema", "--output", "no/such/s.json"], "there is no folder"),
    ],
)
def test_mistake_gets_one_message_and_leaves_nothing(
    project: MakeProject, argv: list[str], message: str
) -> None:
    """What the user got wrong is said in a message, with exit code 2, and nothing is written."""
    made = project({})
    before = sorted(made.root.rglob("*"))

    outcome = made.ran(*argv, code=2)

    assert outcome.err.startswith("runner: ")
    assert message in outcome.err
    assert sorted(made.root.rglob("*")) == before
