from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.commands.conftest import MakeProject


def test_init_writes_an_experiment_that_plans_as_it_is(project: MakeProject) -> None:
    """The first experiment finds its model, template and rows from its own folder."""
    made = project({})
    made.ran("init", "first")

    counts = made.ran("plan", "first/experiment.yaml", "engine=fake", "--json").json["counts"]["total"]

    assert counts["rows"] == 20


def test_init_and_run_score_the_tiny_model(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands lead from nothing to a score of a real model."""
    made = project({})
    made.ran("init", "first")
    monkeypatch.chdir(made.root / "first")

    outcome = made.ran("run", "experiment.yaml", "cluster=inline")

    head = next(n for n, line in enumerate(outcome.lines) if line.endswith("exact_match"))
    assert float(outcome.lines[head + 1].split()[2]) >= 0.9


def test_init_never_overwrites(project: MakeProject) -> None:
    """A folder that has one of the files is refused, and stays as it is."""
    made = project({"first/experiment.yaml": "mine"})

    outcome = made.ran("init", "first", code=2)

    assert "first/experiment.yaml would be overwritten" in outcome.err
    assert sorted(path.name for path in (made.root / "first").iterdir()) == ["experiment.yaml"]


def test_schema_names_the_keys_of_an_experiment(project: MakeProject) -> None:
    """What is printed is what --output writes."""
    made = project({})

    printed = made.ran("schema").out
    made.ran("schema", "--output", "s.json")

    assert (made.root / "s.json").read_text() == printed
    assert {"model", "prompt", "sweep", "scorers"} <= set(json.loads(printed)["properties"])


def test_doctor_names_keys_but_never_their_value(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is set shows by its name alone; unknown ones are found by their ending."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("ACME_API_KEY", "acme-secret")

    outcome = project({}).ran("doctor")

    assert "  set      OPENAI_API_KEY, ACME_API_KEY" in outcome.lines
    assert "secret" not in outcome.out + outcome.err


def test_doctor_names_every_providers_key(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each engine's own variable is among those that are not set."""
    for kind in ("OPENAI", "ANTHROPIC", "MISTRAL", "GEMINI", "TOGETHER", "FIREWORKS", "XAI", "DEEPSEEK"):
        monkeypatch.delenv(f"{kind}_API_KEY", raising=False)

    (absent,) = (line for line in project({}).ran("doctor").lines if line.startswith("  not set"))

    assert {"XAI_API_KEY", "DEEPSEEK_API_KEY", "FIREWORKS_API_KEY"} <= set(absent.replace(",", "").split())


def test_doctor_lists_engines_and_folders(project: MakeProject) -> None:
    """Every engine kind stands with what it needs, and every folder with its path."""
    outcome = project({}).ran("doctor")

    assert {"mistralrs", "openai_compatible", "fake"} <= {line.split()[0] for line in outcome.lines if line}
    assert "  runs      runs (not there yet)" in outcome.lines


def test_folder_that_takes_no_files_is_named(project: MakeProject) -> None:
    """Whatever the system says of it, the message is one line about the folder that was given."""
    outcome = project({}).ran("init", "/proc/mine", code=2)

    assert outcome.err.startswith("runner: /proc/mine/experiment.yaml can't be written: ")
    assert outcome.err.endswith("; name another folder\n")


def test_schema_is_not_written_over_a_folder(project: MakeProject) -> None:
    """The message names what was given, and nothing is left beside it."""
    made = project({"there/file": ""})
    before = sorted(made.root.iterdir())

    outcome = made.ran("schema", "--output", "there", code=2)

    assert outcome.err == "runner: --output: there can't be written: Is a directory\n"
    assert sorted(made.root.iterdir()) == before


@pytest.mark.slow
def test_silent_nvidia_smi_stops_nobody(
    project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where results come from is told as far as it is known, and a driver that hangs is no reason to fail."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    made = project({})
    made.ran("run", "sums.yaml")

    assert json.loads((made.last.path / "provenance.json").read_bytes())["gpus"] is None
    assert "does not answer" in made.ran("doctor").out
