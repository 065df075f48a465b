"""A plan names the place that each value comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli import main

SERVED = """\
name: org/served
engine: {kind: openai_compatible, base_url: 'http://h/v1', timeout: 9}
topology: {tensor_parallel_size: 1}
sampling:
  max_tokens: 7
  top_k: 5
"""
FILE = """\
model: served
prompt: "{{ row.question }}"
dataset: {path: rows.jsonl}
engine.concurrency: 3
sampling: %s
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model that brings everything."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "conf/model/served.yaml": SERVED,
        "conf/sampling/cold.yaml": "temperature: 0\ntop_k: 1\n",
        "rows.jsonl": '{"question": "x"}\n',
        "file.yaml": FILE % "cold",
        "map.yaml": FILE % "{temperature: 0}",
        "listed.yaml": "defaults: [/model: served, /sampling: cold, _self_]\n"
        + "".join(FILE.splitlines(keepends=True)[1:4]),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def sources(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """Return the source of every value of the first point."""
    assert main(["plan", "--json", "--no-count", *arguments]) == 0
    return dict(json.loads(capsys.readouterr().out)["points"][0]["sources"])


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("file", "overrides"), [("file.yaml", []), ("map.yaml", ["sampling=cold"]), ("listed.yaml", [])]
)
def test_what_a_model_brings_stays_below_a_choice(
    capsys: pytest.CaptureFixture[str], file: str, overrides: list[str]
) -> None:
    """Chosen in the file, on the command line or in a defaults list."""
    found = sources(capsys, file, "sampling.seed=1", *overrides)

    assert found["sampling.max_tokens"] == "conf/model/served.yaml:5"
    assert found["sampling.temperature"] == "conf/sampling/cold.yaml:1"
    assert found["sampling.top_k"] == "conf/sampling/cold.yaml:2"
    assert found["sampling.seed"] == "command line"
    assert found["sampling.top_p"] == "default of openai_compatible"
    assert found["engine.timeout"] == "conf/model/served.yaml:2"
    assert found["engine.concurrency"] == f"{file}:4"


@pytest.mark.usefixtures("folder")
def test_plan_prints_them_by_place(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a place; a value that varies is in the table of points."""
    assert main(["plan", "file.yaml", "--no-count", "-m", "sampling.temperature=1,2"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert "          max_tokens: conf/model/served.yaml:5" in lines
    assert "          top_p: default of openai_compatible" in lines
    assert "engine    kind, timeout, base_url: conf/model/served.yaml:2" in lines
    assert "          concurrency: file.yaml:4" in lines
    assert not [line for line in lines if line.strip().startswith("temperature:")]


def test_place_that_differs_by_point_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two models may bring the same value."""
    (folder / "conf/model/other.yaml").write_text(SERVED.replace("name", "\nname", 1))
    assert main(["plan", "file.yaml", "--no-count", "-m", "model=served,other"]) == 0

    assert "          max_tokens: by point" in capsys.readouterr().out.splitlines()
