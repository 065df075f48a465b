"""``~`` is a home folder in every path that a user can give."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from runner import LLM
from runner.cli import main
from runner.errors import UserError
from runner.places import Places
from tests.config.config_kit import BASE, Project

SCHEMA = {"type": "object"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a dataset, weights, and an experiment."""
    folder = tmp_path / "home"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "config.json").write_text("{}")
    (folder / "weights" / "model.safetensors").write_bytes(b"")
    (folder / "weights" / "tokenizer.json").write_text("{}")
    (folder / "rows.jsonl").write_text('{"question": "1+1", "answer": "2"}\n')
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    (folder / "chat.jinja").write_text("{{ messages }}")
    (folder / "base.yaml").write_text(BASE)
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize(
    "given", ["dataset=~/rows.jsonl", "dataset.path=~/rows.jsonl", "dataset={path: ~/rows.jsonl}"]
)
def test_dataset_may_lie_at_home(project: Project, home: Path, given: str) -> None:
    """On the command line, quoted or not."""
    assert project.one(given).dataset.path == str(home / "rows.jsonl")
    key, _, value = given.partition("=")
    if value.startswith("~"):
        assert project.one(f"{key}='{value}'").dataset.path == str(home / "rows.jsonl")
        file = project.file(BASE.replace("dataset: data/sums.jsonl", f"{key}: {value}"))
        assert project.one(file=file).dataset.path == str(home / "rows.jsonl")


def test_sweep_may_vary_paths_at_home(project: Project, home: Path) -> None:
    """Each value is one."""
    (home / "more.jsonl").write_text('{"question": "1"}\n')
    points = project.composed("dataset=~/rows.jsonl,~/more.jsonl", multirun=True).points

    found = [point.experiment.dataset.path for point in points]
    assert found == [str(home / "rows.jsonl"), str(home / "more.jsonl")]


@pytest.mark.usefixtures("home")
def test_model_and_its_files_may_lie_at_home(project: Project, home: Path) -> None:
    """Weights, tokenizer, adapter, chat template, and a server's own interpreter."""
    (home / "adapter").mkdir()
    (home / "adapter" / "adapter_config.json").write_text('{"r": 8}')
    (home / "python").symlink_to(sys.executable)
    found = project.one(
        "model=~/weights",
        "engine=vllm",
        "model.tokenizer=~/weights",
        "model.chat_template=~/chat.jinja",
        "model.adapter=~/adapter",
        "engine.python=~/python",
    )

    assert found.model.name == found.model.tokenizer == str(home / "weights")
    assert found.model.chat_template == str(home / "chat.jinja")
    assert found.model.adapter == str(home / "adapter")
    assert found.engine.model_dump()["python"] == str(home / "python")


@pytest.mark.usefixtures("home")
def test_files_of_sampling_may_lie_at_home(project: Project) -> None:
    """A schema is read from there."""
    assert project.one("sampling.json_schema=~/schema.json").sampling.json_schema == SCHEMA


@pytest.mark.usefixtures("home")
def test_base_of_an_experiment_may_lie_at_home(project: Project) -> None:
    """With its suffix, or without."""
    for name in ("~/base.yaml", "~/base"):
        assert project.one(file=project.file(f"extends: {name}\nsamples: 2\n")).samples == 2


def test_experiment_and_runs_may_lie_at_home(
    home: Path, project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FILE, RUN, --runs and RUNNER_RUNS."""
    (home / "mine.yaml").write_text(
        "model: {name: m, engine: {kind: fake}}\nprompt: '{{ row.question }}'\ndataset: ~/rows.jsonl\n"
        "cluster: inline\n"
    )
    assert main(["run", "~/mine.yaml", "--runs", "~/all"]) == 0
    (run,) = (home / "all" / "mine").iterdir()
    monkeypatch.setenv("RUNNER_RUNS", "~/all")
    assert main(["status", "last"]) == 0
    assert main(["status", f"~/all/mine/{run.name}"]) == 0
    monkeypatch.delenv("RUNNER_RUNS")
    assert main(["status", "--runs", "~/all"]) == 0
    assert main(["schema", "--output", "~/written.json"]) == 0
    assert main(["init", "~/new"]) == 0

    assert (home / "written.json").is_file()
    assert (home / "new" / "experiment.yaml").is_file()
    assert not (project.root / "~").exists()
    capsys.readouterr()


def test_python_takes_paths_at_home(home: Path, project: Project) -> None:
    """The cache's file, the project's folder, and a model's."""
    with LLM("fake:none", cache="~/kept.sqlite", project="~") as llm:
        llm.generate_sync("hello")

    assert (home / "kept.sqlite").is_file()
    assert not (project.root / "~").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "~nobody_of_that_name/x.yaml"],
        ["plan", "base", "dataset=~nobody_of_that_name/x.jsonl"],
        ["plan", "base", "--runs", "~nobody_of_that_name/x"],
        ["status", "~nobody_of_that_name/x"],
        ["init", "~nobody_of_that_name/x"],
    ],
)
def test_user_who_is_not_there_is_named(
    project: Project, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Instead of a folder of that name, or a traceback."""
    project.write("base.yaml", BASE)

    assert main(words) == 2
    assert "there is no user 'nobody_of_that_name'" in capsys.readouterr().err


def test_prompt_keeps_its_tilde(project: Project) -> None:
    """Text is no path."""
    assert project.one("prompt='about ~/x {{ row.question }}'").prompt.user == "about ~/x {{ row.question }}"


def test_environments_folder_of_no_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any other path."""
    monkeypatch.setenv("RUNNER_RUNS", "~nobody_of_that_name/runs")

    with pytest.raises(UserError, match="there is no user"):
        Places.of(tmp_path / "x.yaml")
