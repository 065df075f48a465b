"""A project in a folder of its own, and the command line run in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.config import compose
from runner.plan import make_plan
from runner.prepare import specify, write_run
from runner.runs import RunFolder, find_run

ROWS = [{"id": f"r{n}", "question": str(n), "answer": str(n % 3)} for n in range(6)]
"""The fake repeats the question: it is right for 0, 1 and 2."""

SUMS = """\
model: {name: parrot}
engine: {kind: fake}
prompt: "{{ row.question }}"
dataset: {path: rows.jsonl, target: "{{ row.answer }}"}
sampling: {temperature: 0}
scorers: [exact_match]
cluster: inline
"""

FILES = {"sums.yaml": SUMS, "rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.splitlines()]


class Project:
    """A folder that is also the working folder."""

    def __init__(self, root: Path, files: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        for name, text in (FILES | dict(files)).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, *argv: str) -> Outcome:
        """Run the command line in this process."""
        self._capsys.readouterr()
        try:
            code = main(argv)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = self._capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    def ran(self, *argv: str, code: int = 0) -> Outcome:
        """Run the command line and check its exit code."""
        outcome = self.run(*argv)
        assert outcome.code == code, outcome
        return outcome

    def prepare(self, *overrides: str, file: str = "sums.yaml") -> RunFolder:
        """Write a run without launching it, as if its command had been killed right then."""
        plan = make_plan(compose(file, overrides, multirun=True))
        return write_run(plan, specify(plan), ["runner", "run", file])

    @property
    def last(self) -> RunFolder:
        """The newest run."""
        return find_run(self.root / "runs", "last")
