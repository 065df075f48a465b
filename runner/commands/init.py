"""Write a first experiment into a folder: a commented YAML file, a prompt template, 20 rows.

It runs as it is, in that folder or from any other: runner run DIR/experiment.yaml
"""

from __future__ import annotations

import argparse
import re
import shlex
from itertools import islice
from pathlib import Path

from runner.commands.arguments import given_path
from runner.commands.console import console, shown
from runner.commands.schema import schema_text
from runner.errors import UserError
from runner.shipped import shipped

EXPERIMENT = "experiment.yaml"
_ROWS = 20
_YAML = """\
# yaml-language-server: $schema=schema.json
# Run it with:  runner run experiment.yaml
name: {name}

# A small model that ships with the runner and adds numbers on a CPU. Others:
#   hf:ORG/NAME             weights of a hub
#   engine=openai_compatible engine.base_url=http://localhost:8000/v1 model.name=NAME
model: tiny

prompt: question            # templates/question/: user.j2, in which row holds a row of the dataset

dataset:
  path: data/questions.jsonl          # one JSON object a line
  target: "{{{{ row.answer }}}}"          # what a right answer is
  # limit: 5                          # read fewer rows while trying things out

sampling:
  temperature: 0            # try: runner run experiment.yaml -m sampling.temperature=0,1,2
  max_tokens: 8

scorers: [exact_match]      # others: numeric, regex
# samples: 5                # independent answers for each row
# cluster: slurm            # on a Slurm cluster instead of this machine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dir", type=given_path, metavar="DIR", help="folder; made if it isn't there")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    folder: Path = arguments.dir
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder")
    files = _files(folder)
    if present := [shown(folder / name) for name in files if (folder / name).exists()]:
        raise UserError(f"{', '.join(present)} would be overwritten; name another folder")
    out = console()
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise UserError(f"{path} can't be written: {error.strerror}; name another folder") from error
        out.print(f"wrote {shown(path)}")
    out.print(f"\nnext:    cd {shlex.quote(str(folder))}")
    out.print(f"         runner run {EXPERIMENT}")
    out.print(f"         runner plan {EXPERIMENT}      shows what it would do")
    out.print(f"         runner render {EXPERIMENT}    shows the messages it would send")
    return 0


def _files(folder: Path) -> dict[str, str]:
    """Return what is written, by path in the folder."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "experiment"
    with (shipped() / "data" / "addition.jsonl").open() as rows:
        questions = "".join(islice(rows, _ROWS))
    return {
        EXPERIMENT: _YAML.format(name=name[:100]),
        "templates/question/user.j2": "{{ row.question }}\n",
        "data/questions.jsonl": questions,
        "schema.json": schema_text(),
    }
