from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from runner.cli import COMMANDS
from tests.commands.conftest import MakeProject

_LOADED = """
import sys
from runner.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"hydra", "omegaconf", "pydantic", "rich", "submitit", "jinja2", "pycurl", "msgspec"}
print(sorted(heavy & set(sys.modules)), [name for name in sys.modules if name.startswith("runner.commands")])
"""


def test_help_imports_nothing_heavy() -> None:
    """The overview costs no library and no command's module."""
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[] []"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help(project: MakeProject, name: str) -> None:
    """Every command says what it does, in a first sentence of its own."""
    outcome = project({}).ran(name, "--help")

    described = import_module(f"runner.commands.{name}").__doc__ or ""
    assert described.partition("\n")[0] in outcome.out
    assert described


def _completed(line: str, folder: Path) -> list[str]:
    """Return what the shell would be offered for a command line."""
    answer = folder / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "zsh",
        "_ARGCOMPLETE_IFS": "|",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = [sys.executable, "-m", "runner"]
    subprocess.run(command, env=os.environ | asked, cwd=folder, check=True, capture_output=True)
    return [word.split(":")[0].strip() for word in answer.read_text().split("|")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("runner ren", {"render"}),
        ("runner run su", {"sums.yaml"}),
        ("runner run addi", {"addition"}),
        ("runner run sums.yaml sampling.temp", {"sampling.temperature="}),
        ("runner run sums.yaml sampling=h", {"sampling=hot"}),
        ("runner run sums.yaml -m sampling=cold,h", {"sampling=cold,hot"}),
        ("runner run sums.yaml --runs out -m sampling.temperature=1 sampling.top", {"sampling.top_p="}),
        ("runner run sums.yaml --cfg j", {"job"}),
        ("runner plan sums.yaml --no", {"--no-count"}),
        ("runner plan -m sums.yaml --no", {"--no-count"}),
        ("runner status la", {"last"}),
        ("runner logs last ", {"0-parrot"}),
        ("runner cancel last ", {"0"}),
        ("runner cache exp", {"explain"}),
    ],
)
def test_completion_offers(project: MakeProject, line: str, expected: set[str]) -> None:
    """Commands, files, overrides, runs and what is in them are completed."""
    made = project({"conf/sampling/hot.yaml": "temperature: 2\n"})
    made.prepare()

    assert expected <= set(_completed(line, made.root))


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_prints_code_for_the_shell(project: MakeProject, shell: str) -> None:
    """The printed script registers the command."""
    assert "runner" in project({}).ran("completion", shell).out


def test_output_whose_reader_has_gone_is_no_failure(project: MakeProject) -> None:
    """Piping into something that reads only a line, such as head, exits 0."""
    made = project({})
    command = [sys.executable, "-m", "runner", "plan", "sums.yaml"]

    with subprocess.Popen(command, cwd=made.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate()

    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rn", "sums.yaml"], "there is no command 'rn'; did you mean run?"),
        (["zzz"], "there is no command 'zzz'; there are: run, plan, "),
        (["plan", "sums.yaml", "--multi-run"], "plan takes no --multi-run; did you mean --multirun?"),
        (["cache"], ": stats|explain\n"),
        (["rescore"], ": run\n"),
    ],
)
def test_mistyped_line_gets_the_nearest_name(project: MakeProject, words: list[str], said: str) -> None:
    """What isn't known, a command or an option, is named with what may be meant."""
    assert said in project({}).ran(*words, code=2).err
