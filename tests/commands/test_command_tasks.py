"""What the commands show of tasks that are answered with numbers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.extras import pip_install


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reranking experiment of two rows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "q": "why"}\n{"id": "b", "q": "how"}\n')
    declared = {
        "task": "rerank",
        "model": {"name": "m"},
        "engine": {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"},
        "prompt": {"query": "{{ row.q }}", "documents": ["one", "two"]},
        "dataset": {"path": "rows.jsonl"},
    }
    experiment = tmp_path / "rerank.yaml"
    experiment.write_text(json.dumps(declared))
    return experiment


def test_render_shows_each_text_by_its_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Query and documents stand on lines of their own, and no answer is announced."""
    assert main(["render", str(file)]) == 0

    shown = capsys.readouterr().out
    assert "query: why" in shown
    assert 'documents: ["one","two"]' in shown
    assert "generate" not in shown


def test_plan_counts_requests_and_no_completion_tokens(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rows are two requests; nothing is drawn, and no token is generated."""
    assert main(["plan", str(file)]) == 0

    shown = capsys.readouterr().out
    assert "sampling  none: nothing is drawn" in shown
    assert ["0", "2", "0", "2", "6", "0"] in [line.split() for line in shown.splitlines()]


def test_embedding_without_pyarrow_is_refused_with_what_installs_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan says so before anything is asked; for a Parquet dataset too."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    (file.parent / "rows.parquet").write_text("-")

    assert main(["plan", str(file), "task=embed", "prompt={user: a}"]) == 2
    assert main(["plan", str(file), "dataset=rows.parquet"]) == 2

    said = capsys.readouterr().err
    assert "task embed writes Parquet, which needs pyarrow" in said
    assert "reading Parquet needs pyarrow" in said
    assert said.count(pip_install("parquet")) == 2
