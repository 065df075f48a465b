"""Rows a CPU-second of a rerun that the cache answers whole: python benchmarks/rerun.py [--rows N].

Rows of 1 KB, a sandboxed template, one scorer, hits copied into the new run's folder. The first run
uses the fake engine. Figures are of the whole second command, start-up taken off by running few rows too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = "import sys; from runner.cli import main; sys.exit(main(sys.argv[1:]))"


def cpu(arguments: list[str], cwd: Path) -> float:
    """Return the CPU seconds of a command, its children included."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        check=True,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def write_experiment(folder: Path, rows: int) -> str:
    """Write an experiment of *rows* rows of 1 KB, and return its file's name."""
    with (folder / f"{rows}.jsonl").open("w") as out:
        for number in range(rows):
            question = f"{number} " + "a word or two " * 70
            out.write(json.dumps({"id": number, "question": question[:1000], "answer": str(number)}) + "\n")
    (folder / f"e{rows}.yaml").write_text(f"""
model: {{name: m}}
engine: {{kind: fake, template: "{{{{ last.split()[0] }}}}", concurrency: 256}}
prompt: "Answer this: {{{{ row.question | trim }}}}"
dataset: {{path: {rows}.jsonl, target: "{{{{ row.answer }}}}"}}
scorers: {{exact: {{kind: exact_match}}}}
cluster: inline
""")
    return f"e{rows}.yaml"


def main() -> int:
    """Print the table; exit 1 below the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--bound", type=float, default=15_000)
    arguments = parser.parse_args()
    few = arguments.rows // 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [write_experiment(folder, rows) for rows in (few, arguments.rows)]
        first = [cpu(["run", file], folder) for file in files]
        again = [min(cpu(["run", file], folder) for _ in range(2)) for file in files]
    rate = (arguments.rows - few) / (again[1] - again[0])
    asked = (arguments.rows - few) / (first[1] - first[0])
    print(f"first run, fake engine  {asked:8.0f} rows per CPU-s")
    print(f"rerun, all hits         {rate:8.0f} rows per CPU-s   {1e6 / rate:.0f} us a row")
    return 0 if rate >= arguments.bound else 1


if __name__ == "__main__":
    sys.exit(main())
