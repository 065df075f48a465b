"""Tables of rules in the pages: each row is tried as it is written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli import main
from runner.scoring.registry import scorer_kinds
from runner.spec import ScorerSettings
from tests.docs.docs_kit import ROOT

CODE = re.compile(r"`([^`\n]+)`")
ROWS = '{"q": "one", "length": 3}\n{"q": "two", "length": 4}\n'
BASE = "model: fake:any\nprompt: '{{ row.q }}'\ndataset: {path: rows.jsonl}\n"


def _rows(page: str, heading: str, header: str) -> list[list[str]]:
    section = (ROOT / "docs" / page).read_text().partition(f"{heading}\n")[2]
    lines = section.partition(f"{header}\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert lines
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]


def _numbers(column: int) -> list[str]:
    """Return the examples of a column of the table of numbers; what has letters alone is no number."""
    cells = [row[column] for row in _rows("configuration.md", "### Numbers", "| what | read | no number |")]
    spoken = {"percent: fraction", "‰", "GPT-4", "5!", "2"}
    return [code for cell in cells for code in CODE.findall(cell) if code not in spoken]


def _taken(text: str) -> str | None:
    kind = scorer_kinds()["numeric"]
    settings: ScorerSettings = kind.settings.model_validate({"kind": "numeric"})
    return kind.create(settings).score(text, "0").answer


@pytest.mark.parametrize("text", _numbers(1))
def test_documented_number_is_read(text: str) -> None:
    """Each that the table shows as one."""
    assert _taken(text) is not None


@pytest.mark.parametrize("text", _numbers(2))
def test_documented_non_number_is_not_read(text: str) -> None:
    """Each that the table shows as none."""
    assert _taken(text) is None


def _plan(folder: Path, text: str) -> int:
    (folder / "rows.jsonl").write_text(ROWS)
    (folder / "tried.yaml").write_text(text)
    return main(["plan", str(folder / "tried.yaml"), "--no-count"])


def _written(line: str) -> str:
    """Return an experiment that says *line* where it belongs, and nothing else of that key."""
    line = line.replace("row.price", "row.q") if "\\$" in line else line
    key = line.partition(":")[0]
    if key == "pattern":
        return f"{BASE}scorers:\n  r:\n    kind: regex\n    target: x\n    {line}\n"
    if key == "target":
        return f"{BASE.partition('dataset')[0]}dataset:\n  path: rows.jsonl\n  {line}\n"
    return f"model: fake:any\ndataset: {{path: rows.jsonl}}\n{line}\n"


TRAPS = _rows("configuration.md", "## What YAML does to you", "| written | is | write |")


@pytest.mark.parametrize("cells", TRAPS, ids=lambda cells: cells[0])
def test_documented_trap_of_yaml(
    tmp_path: Path, cells: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What the table calls refused or not valid is; what it says to write is taken."""
    (wrong,), (right,) = CODE.findall(cells[0]), CODE.findall(cells[2])
    if wrong.endswith("|"):  # a block: its text is on the next lines
        wrong, right = f"{wrong}\n  {{{{ row.q }}}}", f"{right}\n  {{{{ row.q }}}}"
    refused = "refused" in cells[1] or "not valid" in cells[1]

    assert _plan(tmp_path, _written(wrong)) == (2 if refused else 0), capsys.readouterr().err
    assert _plan(tmp_path, _written(right)) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("sampling", "code"),
    [
        ("max_tokens: true", 2),
        ("logprobs: 1", 2),
        ('max_tokens: "8"', 2),
        ("max_tokens: 8.0", 0),
        ("max_tokens: 8.5", 2),
        ("logprobs: yes", 0),
        ("logprobs: off", 0),
        ("logprobs: 'yes'", 0),
        ("temperature: None", 2),
        ("temperature: null", 0),
        ("max_tokens: '{{ row.length }}'", 0),
        ("max_tokens: ${oc.env:DOCUMENTED_LENGTH}", 0),
    ],
)
def test_documented_types(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sampling: str,
    code: int,
) -> None:
    """Numbers, booleans and text are never read as one another, but where text can be nothing else."""
    monkeypatch.setenv("DOCUMENTED_LENGTH", "8")

    assert _plan(tmp_path, f"{BASE}sampling:\n  {sampling}\n") == code, capsys.readouterr().err


def _deep(levels: int) -> str:
    return f"{BASE}sampling:\n  passthrough: {'[' * levels}{']' * levels}\n"


LIMITS: dict[str, Callable[[], str]] = {
    "an experiment": lambda: BASE + "#" * 10_000_001,
    "values in one YAML file": lambda: BASE + f"sampling: {{stop: [{'a, ' * 100_001}]}}\n",
    "characters in one YAML file": lambda: (
        f"{BASE}sampling: {{stop: [&x '{'a' * 1000}', {'*x, ' * 20_001}]}}\n"
    ),
    "maps and lists within each other": lambda: _deep(101),
    "points of a sweep": lambda: (
        f"{BASE}sweep: {{samples: {[*range(1, 318)]}, dataset.seed: {[*range(317)]}}}\n"
    ),
}


@pytest.mark.parametrize("what", LIMITS)
def test_documented_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    """Beyond each limit is one message that names it as the page does."""
    rows = _rows("configuration.md", "### Limits", "| what | at most |")
    (limit,) = [row[1] for row in rows if row[0].startswith(what)]
    code = _plan(tmp_path, LIMITS[what]())
    told = capsys.readouterr().err

    assert code == 2
    assert limit.removesuffix(" bytes") in told or limit.removesuffix(" bytes").replace(",", "") in told, told
    assert len(told) < 1000


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """Pipes and devices are refused, as is a folder; nothing waits for one."""
    file = tmp_path / "rows.jsonl"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/zero")
    (tmp_path / "tried.yaml").write_text(BASE)

    assert main(["plan", str(tmp_path / "tried.yaml")]) == 2
    assert "rows.jsonl" in capsys.readouterr().err
