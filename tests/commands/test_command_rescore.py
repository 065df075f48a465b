from __future__ import annotations

import json

import pytest

from tests.commands.conftest import MakeProject
from tests.commands.test_command_run import FAILING


def test_rescore_with_another_scorer_sends_nothing(project: MakeProject) -> None:
    """New scores lie beside the run's own, which stay; no attempt is made."""
    made = project({})
    made.ran("run", "sums.yaml")
    before = (made.last.point("0") / "results.jsonl").read_bytes()

    outcome = made.ran("rescore", "last", "scorers=[numeric]")

    assert [line.split()[:3] for line in outcome.lines[1:3]] == [
        ["point", "answered", "numeric"],
        ["0", "6", "0.500"],
    ]
    assert (made.last.point("0") / "results.jsonl").read_bytes() == before
    assert len(list(made.last.job("0-parrot").glob("[0-9]*"))) == 1


def test_rescore_with_another_target_changes_the_score(project: MakeProject) -> None:
    """With the question itself as target, the parrot is always right."""
    made = project({})
    made.ran("run", "sums.yaml")

    made.ran("rescore", "last", 'dataset.target="{{ row.question }}"')

    folder = made.last.path / "rescored" / "1"
    metrics = json.loads((folder / "points" / "0" / "metrics.json").read_text())
    assert metrics["scores"]["exact_match"]["mean"]["value"] == 1
    assert (folder / "overrides.txt").read_text() == 'dataset.target="{{ row.question }}"\n'


def test_rescore_writes_the_same_lines_as_a_run_would(project: MakeProject) -> None:
    """A result line scored anew is the line that a new run with these scorers writes."""
    made = project({})
    made.ran("run", "sums.yaml")
    made.ran("rescore", "last", "scorers=[numeric]")
    rescored = made.last.path / "rescored" / "1" / "points" / "0"

    made.ran("run", "sums.yaml", "scorers=[numeric]", "cache=refresh")

    own = made.last.point("0")
    assert (rescored / "metrics.json").read_bytes() == (own / "metrics.json").read_bytes()
    before, after = (
        [json.loads(line) | {"latency": 0} for line in (folder / "results.jsonl").read_text().splitlines()]
        for folder in (rescored, own)
    )
    assert before == after


def test_rescore_keeps_rows_without_an_answer(project: MakeProject) -> None:
    """Rows that are missing stay missing."""
    made = project({})
    made.ran("run", "sums.yaml", *FAILING, code=3)
    counts = made.ran("status", "--json", code=3).json["points"][0]

    made.ran("rescore", "last", "scorers=[numeric]")

    metrics = json.loads((made.last.path / "rescored/1/points/0/metrics.json").read_text())
    assert (metrics["ok"], metrics["missing"]) == (counts["ok"], counts["missing"])


def test_rescore_says_why_rows_failed(project: MakeProject) -> None:
    """With the first row that it met, as a run does."""
    rows = '{"id": "a", "question": "1", "answer": "1"}\n{"id": "b", "question": "2", "answer": "Paris"}\n'
    made = project({"rows.jsonl": rows})
    made.ran("run", "sums.yaml")

    outcome = made.ran("rescore", "last", "scorers=[numeric]")

    failed = [line for line in outcome.lines if " x " in line]
    assert len(failed) == 1
    assert failed[0].startswith("  1 x RenderError, such as row b: scorers.numeric: the target 'Paris'")


def test_rescore_finds_the_projects_own_scorers(project: MakeProject) -> None:
    """Options of the project's conf/ are found, wherever the runs lie."""
    made = project({
        "conf/scorers/strict.yaml": "strict: {kind: exact_match, target: '{{ row.question }}'}\n"
    })
    made.ran("run", "sums.yaml", "--runs", "../elsewhere")

    outcome = made.ran("rescore", "last", "scorers=[strict]", "--runs", "../elsewhere")

    assert outcome.lines[2].split()[2] == "1.000"


def test_rescore_takes_patterns_as_they_stand(project: MakeProject) -> None:
    """What looks like an interpolation in a scorer is not read as one a second time."""
    pattern = r"regex: {kind: regex, pattern: '(\d)[\${1}]*$'}"
    made = project({"regex.yaml": f"extends: sums\nscorers:\n  {pattern}\n"})
    made.ran("run", "regex.yaml")
    first = json.loads((made.last.point("0") / "metrics.json").read_text())

    made.ran("rescore", "last")

    metrics = json.loads((made.last.path / "rescored/1/points/0/metrics.json").read_text())
    assert metrics == first


def test_rescore_refuses_unknown_columns_and_scorers(project: MakeProject) -> None:
    """A target that no row has is refused with the nearest column, and nothing is written."""
    made = project({})
    made.ran("run", "sums.yaml")

    assert (
        "did you mean 'answer'?"
        in made.ran("rescore", "last", 'dataset.target="{{ row.answr }}"', code=2).err
    )
    assert "did you mean numeric?" in made.ran("rescore", "last", "scorers=[numric]", code=2).err
    assert not (made.last.path / "rescored").exists()


def test_rescore_never_writes_a_secret(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that an override reads is refused, and nothing is written."""
    monkeypatch.setenv("JUDGE_TOKEN", "very-secret")
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("rescore", "last", "dataset.target=${oc.env:JUDGE_TOKEN}", code=2)

    assert "the value of JUDGE_TOKEN would be written" in outcome.err
    assert "very-secret" not in outcome.err
    assert not (made.last.path / "rescored").exists()


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("scorers.new.target=x", "scorers.new.kind (command line): kind is missing"),
        ("scorers.exact_match.kind=numeric", "scorers.exact_match.strip (sums/"),
    ],
)
def test_rescore_names_where_a_fault_was_written(project: MakeProject, override: str, place: str) -> None:
    """Faults name the command line or the run, never the file that both are composed from."""
    made = project({})
    made.ran("run", "sums.yaml")

    outcome = made.ran("rescore", "last", override, code=2)

    assert place in outcome.err
    assert "run.yaml" not in outcome.err


def test_metric_that_a_point_has_too_few_samples_for_is_shown_as_none(project: MakeProject) -> None:
    """The other points of the sweep have it, in the run as in what rescores it."""
    made = project({})
    report = "scorers.exact_match.report=[mean,pass@2]"
    ran = made.ran("run", "sums.yaml", "-m", "samples=1,2", report)

    outcome = made.ran("rescore", "last", report)

    for lines in (ran.lines, outcome.lines):
        table = [line.split() for line in lines if line.startswith(("samples", "1 ", "2 "))]
        assert [row[-1] for row in table] == ["pass@2", "-", "0.812]"], lines
    metrics = json.loads((made.last.point("0-samples=1") / "metrics.json").read_text())
    assert list(metrics["scores"]["exact_match"]) == ["mean"]
