"""A scorer in a package of its own, as a user would install it, and commands that run beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PLUGIN = '''
from typing import Literal
from runner.scoring.base import Score, ScorerKind
from runner.spec import ScorerSettings

class OwnSettings(ScorerSettings):
    """A user's own."""
    kind: Literal["own"] = "own"
    """A user's own."""

class Own:
    def __init__(self, settings):
        pass

    def score(self, text, target):
{body}

KIND = ScorerKind(OwnSettings, "own_scorer_plugin:Own", "a user's own", seconds={seconds})
'''


@dataclass(frozen=True, slots=True)
class OwnScorer:
    """A project whose scorer is a package of its own."""

    folder: Path
    url: str

    def write(self, body: str, *, seconds: float = 60.0) -> None:
        """Write the scorer; *body* is Python that scores ``text`` against ``target``."""
        plugin = self.folder / "plugin"
        about = plugin / "own_scorer_plugin-1.0.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-scorer-plugin\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[runner.scorers]\nown = own_scorer_plugin:KIND\n")
        indented = "".join(f"        {line}\n" for line in body.splitlines())
        # Another length or time each time, so that no cached bytecode is taken for it.
        (plugin / "own_scorer_plugin.py").write_text(_PLUGIN.format(body=indented, seconds=seconds))

    def experiment(self, rows: int, **keys: Any) -> None:
        """Write an experiment whose every answer is right."""
        lines = [{"id": str(number), "q": f"{number}", "a": f"{number}"} for number in range(rows)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        engine = {"kind": "openai_compatible", "base_url": self.url, "concurrency": 4, "max_attempts": 1}
        declared = {
            "model": {"name": "m"},
            "engine": engine,
            "prompt": "{{ row.q }}",
            "dataset": {"path": "rows.jsonl", "target": "{{ row.a }}"},
            "scorers": ["own"],
            "cluster": "inline",
        } | keys
        (self.folder / "own.yaml").write_text(json.dumps(declared))

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command."""
        env = os.environ | {"PYTHONPATH": str(self.folder / "plugin"), "PYTHONDONTWRITEBYTECODE": "1"}
        code = "import sys; from runner.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.Popen(
            [sys.executable, "-c", code, *argv],
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ran(self, *argv: str, code: int = 0) -> str:
        """Run a command to its end; return what it printed."""
        process = self.start(*argv)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == code, printed
        return printed

    @property
    def run(self) -> Path:
        """The folder of the newest run."""
        return max((self.folder / "runs" / "own").iterdir())

    def lines(self, folder: str = ".") -> list[dict[str, Any]]:
        """Lines of results.jsonl of the only point, or of what `runner rescore` made of it."""
        text = (self.run / folder / "points" / "0" / "results.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def records(run: Path) -> list[dict[str, Any]]:
    """Every record of a run, as its line has it."""
    files = sorted(run.glob("jobs/*/*/records.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
