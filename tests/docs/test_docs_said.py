"""Sentences of the pages that can be tried in a moment, with the engine that answers from a template."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.cli import main
from tests.docs.docs_kit import ROOT, blocks

EXPERIMENT = """\
model: fake:echo
engine: {template: "{{ last | upper }}"}
prompt: "{{ row.q }}"
dataset: {path: rows.jsonl, target: "{{ row.a }}"}
scorers: [exact_match]
cluster: inline
"""
ROWS = '{"q": "a", "a": "A"}\n{"q": "b", "a": "x"}\n{"q": "a", "a": "A"}\n'
FAILING = ["engine.error_rate=1", "engine.max_attempts=1", "cache=false"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with an experiment of three rows, two of them equal."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _lines(folder: Path) -> list[dict[str, object]]:
    """Return the results of the newest run."""
    newest = max(folder.glob("runs/*/*/points/0/results.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in newest.read_text().splitlines()]


def _asked(capsys: pytest.CaptureFixture[str], words: Sequence[str] = ()) -> str:
    """Run the experiment and return what its last lines say of requests."""
    assert main(["run", "e.yaml", *words]) == 0
    return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("complete: "))


EXITS = [
    ([], 0),
    (["engine.error=server_error", *FAILING], 3),
    (["engine.error=bad_request", *FAILING], 3),
    (["engine.error=context_length", *FAILING], 3),
    (["engine.error=authentication", *FAILING], 1),
    (["sampling.temprature=1"], 2),
]


@pytest.mark.parametrize(("words", "code"), EXITS, ids=[" ".join(words) or "plain" for words, _ in EXITS])
def test_exit_codes(folder: Path, words: list[str], code: int) -> None:
    """Of `run`, and of `status` and `resume` after it, as the table in errors.md says."""
    table = (ROOT / "docs" / "errors.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    assert f"| {code} |" in table
    assert main(["run", "e.yaml", *words]) == code
    if code == 2:
        assert not (folder / "runs").exists()
    else:
        assert main(["status", "last"]) == code
        assert main(["resume", "last"]) == code


def test_a_rows_id(folder: Path) -> None:
    """Without a column `id`: 16 hex digits of the row's hash, and -2 where the row is repeated."""
    main(["run", "e.yaml"])
    first, other, again = (str(line["id"]) for line in _lines(folder))

    assert re.fullmatch("[0-9a-f]{16}", first)
    assert other != first
    assert again == f"{first}-2"


def test_equal_rows_are_sent_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And with `cache: false` each is."""
    assert folder.is_dir()
    assert "2 requests" in _asked(capsys)
    assert "3 requests" in _asked(capsys, ["cache=false"])


def test_what_cache_values_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`true` sends what no run sent before, `refresh` all, `false` neither reads nor fills the cache."""
    assert folder.is_dir()
    _asked(capsys, ["cache=false"])
    assert "2 requests" in _asked(capsys)
    assert "0 requests" in _asked(capsys)
    assert "2 requests" in _asked(capsys, ["cache=refresh"])
    assert "0 requests" in _asked(capsys)


LEFT_OUT = ["engine.concurrency=3", "engine.timeout=9", "engine.max_attempts=2", "engine.latency=0.001"]
LEFT_OUT += ["dataset.target=y", "cluster=local", "dataset.shuffle=true"]
COUNTED = ["engine.template=x", "sampling.seed=3", 'prompt="{{ row.q }}."', "model.name=other"]
COUNTED += ["sampling.temperature=0.5", "model.revision=v1"]


@pytest.mark.parametrize("word", LEFT_OUT)
def test_what_is_no_part_of_the_key(folder: Path, capsys: pytest.CaptureFixture[str], word: str) -> None:
    """Such a change is answered from the cache."""
    assert folder.is_dir()
    _asked(capsys)
    quoted = word.replace("=y", "=\"{{ 'y' }}\"")

    assert "0 requests" in _asked(capsys, [quoted])


@pytest.mark.parametrize("word", COUNTED)
def test_what_is_part_of_the_key(folder: Path, capsys: pytest.CaptureFixture[str], word: str) -> None:
    """Such a change sends every request."""
    assert folder.is_dir()
    _asked(capsys)

    assert "0 requests" not in _asked(capsys, [word])


def test_more_samples_ask_for_the_new_ones_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From 2 to 5, of two rows that differ, three for each."""
    assert folder.is_dir()
    _asked(capsys, ["samples=2"])

    assert "6 requests" in _asked(capsys, ["samples=5"])


@pytest.mark.parametrize("name", ["run-folder.md", "requests.md"])
def test_documented_query_works(folder: Path, name: str) -> None:
    """What the pages give to the program sqlite3."""
    main(["run", "e.yaml"])
    (file,) = folder.glob("runs/*/*/points/0/cache.sqlite")
    (block,) = [block for block in blocks(ROOT / "docs" / name) if block.text.startswith("sqlite3 ")]
    _, path, query = shlex.split(block.text)
    assert path == "points/0/cache.sqlite"
    with sqlite3.connect(file) as database:
        found = database.execute(query).fetchall()

    assert found


def test_types_of_the_architecture_exist() -> None:
    """Each type of the table is a class of one of the files that its row names."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = [line.split("|") for line in page.partition("| type |")[2].partition("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 8
    for row in rows:
        places = [ROOT / "runner" / place for place in re.findall(r"`([^`]+)`", row[3])]
        files = [file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place])]
        text = "\n".join(file.read_text() for file in files)
        for name in re.findall(r"`(\w+)`", row[1]):
            assert re.search(rf"^class {name}\b", text, re.MULTILINE), name


def test_unique_beginnings_name_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a name, of the stamp alone, `last`, NAME/last, and all of these as a path."""
    main(["run", "e.yaml"])
    (run,) = folder.glob("runs/e/*")
    for name in (
        f"e/{run.name}",
        run.name[:12],
        "last",
        "e/last",
        "runs/e/last",
        str(run),
        f"e/{run.name[:10]}",
    ):
        capsys.readouterr()
        assert main(["status", name]) == 0, name
        assert run.name in capsys.readouterr().out
