"""What `plan` checks, with and without counting, and what is left to `run`: a table in the docs lists it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from runner.cli import main

FILE = "model: fake:x\nprompt: '{{ row.question }}'\ndataset: rows.jsonl\ncluster: inline\n"
GOOD = '{"id": "a", "question": "x"}\n'

REFUSED_BY_ALL = {
    "config": (GOOD, ("samples=0",), "samples (command line)"),
    "engine": (GOOD, ("sampling.logit_bias={1: 1}",), "can't honour logit_bias"),
    "weights": (GOOD, ("model=hf:no/weights",), "model.name (command line)"),
    "key": (GOOD, ("model=openai:x", "engine.api_key_env=NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
    "dataset's path": (GOOD, ("dataset=none.jsonl",), "none.jsonl"),
}
REFUSED_WHERE_ROWS_ARE_READ = {
    "broken line": ('{"id": "a"\n', (), "rows.jsonl:1"),
    "id twice": (GOOD * 2, (), "rows.jsonl:2"),
    "column": ('{"id": "a", "q": "x"}\n', (), "has no column 'question'"),
    "no row that can be rendered": (GOOD, ("prompt={user: '{{ row.question.x }}'}",), "can be asked"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an experiment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.yaml").write_text(FILE)
    return tmp_path


def code(*arguments: str) -> int:
    return main([arguments[0], "e.yaml", *arguments[1:]])


@pytest.mark.parametrize("case", REFUSED_BY_ALL)
def test_what_is_wrong_with_a_config_is_refused_by_all(
    folder: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """Rows needn't be read for it."""
    rows, overrides, message = REFUSED_BY_ALL[case]
    (folder / "rows.jsonl").write_text(rows)

    for command in (("plan",), ("plan", "--no-count"), ("run",)):
        assert code(*command, *overrides) == 2
        assert message in capsys.readouterr().err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("case", REFUSED_WHERE_ROWS_ARE_READ)
def test_rows_are_checked_where_they_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """`--no-count` reads none."""
    rows, overrides, message = REFUSED_WHERE_ROWS_ARE_READ[case]
    (folder / "rows.jsonl").write_text(rows)

    assert code("plan", "--no-count", *overrides) == 0
    for command in ("plan", "run"):
        capsys.readouterr()
        assert code(command, *overrides) == 2
        assert message in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_gpus_are_noted_by_a_plan_and_refused_by_a_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan may be made elsewhere."""
    (folder / "rows.jsonl").write_text(GOOD)

    for command in (("plan",), ("plan", "--no-count")):
        assert code(*command, "engine.gpus=4000") == 0
        assert "not to be run here" in capsys.readouterr().out
    assert code("run", "engine.gpus=4000") == 2


def test_server_is_looked_for_by_a_run_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan asks nobody."""
    (folder / "rows.jsonl").write_text(GOOD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        given = ("model=openai_compatible:x", f"engine.base_url={address}")
        assert code("plan", *given) == 0
        assert code("run", *given) == 2
    assert "there is no server at" in capsys.readouterr().err
