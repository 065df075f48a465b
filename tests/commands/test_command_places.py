"""Where a project begins, where its files are looked for, and where its runs are found again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runner.shipped import shipped
from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject

ROWS = "".join(json.dumps({"id": str(n), "question": str(n), "answer": str(n)}) + "\n" for n in range(4))


def test_example_of_the_quick_start_runs_in_an_empty_folder(project: MakeProject) -> None:
    """Its two files, as the page has them, and nothing beside them; its command, from the folder above."""
    page = (shipped() / "docs" / "quickstart.md").read_text()
    written = {
        name: re.search(rf"```\w+ {name}\n(.*?)```", page, re.DOTALL)
        for name in ("data/capitals.jsonl", "experiments/capitals.yaml")
    }
    made = project({name: found[1] for name, found in written.items() if found is not None})

    made.ran("plan", "experiments/capitals.yaml")
    made.ran("plan", "capitals")


def test_file_of_the_installation_is_no_dataset(project: MakeProject) -> None:
    """But for those in data/, which the options that ship name."""
    made = project({})

    refused = made.ran("plan", "sums.yaml", "dataset.path=benchmarks/rows.jsonl", code=2)

    assert str(shipped()) not in refused.err
    made.ran("plan", "sums.yaml", "dataset=addition")


@pytest.mark.parametrize("key", ["sampling.json_schema", "model.chat_template"])
@pytest.mark.parametrize("path", ["docs/schema.json", "runner/shipped.py", "data/../pyproject.toml"])
def test_file_of_the_installation_is_nothing_else_either(project: MakeProject, key: str, path: str) -> None:
    """Only what ships for experiments may be named: conf, data, experiments, models and templates."""
    refused = project({}).ran("plan", "sums.yaml", f"{key}={path}", code=2)

    assert key in refused.err
    assert str(shipped()) not in refused.err


@pytest.mark.parametrize("command", ["status", "logs", "resume", "cancel"])
def test_run_of_a_project_below_is_found(project: MakeProject, command: str) -> None:
    """In the folder that it was started from, by no name, by `last` and by its own."""
    made = project({"sub/x.yaml": SUMS, "sub/rows.jsonl": ROWS})
    made.ran("run", "sub/x.yaml")
    (run,) = Path(made.root / "sub" / "runs" / "x").iterdir()

    for words in ([], ["last"], ["x/last"], [f"x/{run.name}"]):
        if words or command != "cancel":
            made.ran(command, *words)


@pytest.mark.parametrize("command", ["status", "logs", "resume", "show", "cancel"])
def test_run_of_a_project_above_is_found(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """In a folder of the project that has no runs of its own, by the same names."""
    made = project({"experiments/x.yaml": SUMS, "rows.jsonl": ROWS, "deep/er/rows.txt": ""})
    monkeypatch.chdir(made.root / "deep" / "er")
    made.ran("run", "../../experiments/x.yaml")
    (run,) = Path(made.root / "runs" / "x").iterdir()

    for words in ([], ["last"], ["x/last"], [f"x/{run.name}"]):
        if words or command != "cancel":
            made.ran(command, *words)


def test_list_of_runs_has_those_that_other_commands_find(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a project below, by their path, beside this folder's own."""
    made = project({"sub/x.yaml": SUMS, "sub/rows.jsonl": ROWS, "rows.jsonl": ROWS, "other/a": ""})
    made.ran("run", "sub/x.yaml")
    made.ran("run", "sums.yaml")

    listed = made.ran("status", "--all").out

    assert re.search(r"^sums/\S+ ", listed, re.MULTILINE), listed
    assert re.search(r"^sub/runs/x/\S+ ", listed, re.MULTILINE), listed
    monkeypatch.chdir(made.root / "other")
    assert "sums/" in made.ran("status", "--all").out


@pytest.mark.parametrize("given", ["dataset=own.jsonl", "dataset.path=own.jsonl", "dataset.path=./own.jsonl"])
def test_path_on_the_command_line_is_looked_for_here_first(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """Then in the project; the message says in which folders."""
    made = project({"conf/x": "", "here/own.jsonl": ROWS, "own.jsonl": ROWS.splitlines()[0]})
    monkeypatch.chdir(made.root / "here")

    planned = made.ran("plan", "../sums.yaml", given, "dataset.target='{{ row.answer }}'")

    assert re.search(r"^0 +4 ", planned.out, re.MULTILINE), planned.out
    made.ran("plan", "../sums.yaml", "dataset.path=rows.jsonl")
    refused = made.ran("plan", "../sums.yaml", "dataset.path=nowhere.jsonl", code=2)
    assert f"looked in ., {made.root}" in refused.err
