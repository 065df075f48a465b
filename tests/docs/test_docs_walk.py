"""A newcomer in an empty folder types what README and quick start show, one thing after the other.

The runner is installed from its wheel. Files that a page shows are written when the reader comes to them,
commands are typed as they stand, and print what the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.docs_kit import ROOT, Block, blocks
from tests.docs.walk_kit import Shell, missing, where
from tests.http_server import HttpServer, chats

SERVED = "http://localhost:8000/v1"
"""The address that the pages give to a server of the reader's."""
PROVIDER = "https://api.openai.com/v1"

REFUSED_HERE = {
    "engine=vllm": "vllm",
    "model=openai:": "openai",
}
"""What takes more than an empty folder has -> a word of the message that says so."""


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """Yield a server in OpenAI's form."""
    with HttpServer({"/v1/chat/completions": chats("Paris 42")}) as running:
        yield running


@pytest.fixture
def reader(shell: Shell, server: HttpServer) -> tuple[Shell, str]:
    """Return a shell, and the address of the server that stands in for all."""
    return shell, server.url("/v1")


def _commands(block: Block) -> list[tuple[str, list[str]]]:
    """Return the command lines of a console block, each with the lines shown under it."""
    found: list[tuple[str, list[str]]] = []
    continued = False
    for line in block.text.splitlines():
        if continued or line.startswith("$ "):
            command = f"{found.pop()[0]}\n{line}" if continued else line.removeprefix("$ ")
            found.append((command, []))
            continued = line.endswith("\\")
        elif line.strip():
            found[-1][1].append(line)
    return found


def _here(text: str, address: str) -> str:
    """Return a page's text with a server that is there in the place of those that it names."""
    return re.sub(r"\bRUN\b", "last", text).replace(SERVED, address).replace(PROVIDER, address)


def _walk(page: Path, shell: Shell, address: str) -> int:
    """Do all that a page says, in its order; return how many commands were typed."""
    typed = 0
    for block in blocks(page):
        if block.path:
            file = shell.folder / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_here(block.text, address))
            if PROVIDER in block.text:  # no other is ever asked for an answer
                shell = replace(shell, extra=(("OPENAI_API_KEY", "not-a-real-key"),))
        elif block.info == "console":
            for command, shown in _commands(block):
                _try(
                    shell, command.replace("make run", "runner run experiments/addition.yaml"), shown, address
                )
                typed += 1
    return typed


def _try(shell: Shell, command: str, shown: list[str], address: str) -> None:
    done = shell.type(_here(command, address))
    beyond = [told for what, told in REFUSED_HERE.items() if what in command]

    assert "Traceback" not in done.output, done.output
    if beyond:
        assert done.code == 2, (command, done.output)
        assert beyond[0] in done.output.lower()
    else:
        assert done.code == 0, (command, done.output)
    lines = [line for line in shown if not line.startswith("before: ")]  # the Makefile's own
    assert missing(lines, done.output) == [], (command, done.output)


def test_the_command_is_not_the_checkouts(shell: Shell) -> None:
    """It is imported from where it was installed, and what ships with it lies there too."""
    place = where(shell.programs)
    listed = shell.type("runner run addition dataset.limit=1 && cat runs/addition/*/provenance.json").output

    assert place.is_relative_to(shell.programs.parent)
    assert str(ROOT) not in listed
    assert str(place) in listed


def test_readme_from_an_empty_folder(reader: tuple[Shell, str]) -> None:
    """Every command of the README, in order."""
    assert _walk(ROOT / "README.md", *reader) >= 9


def test_quick_start_from_an_empty_folder(reader: tuple[Shell, str]) -> None:
    """Every command of the quick start, in order."""
    assert _walk(ROOT / "docs" / "quickstart.md", *reader) >= 14


def test_init_from_an_empty_folder(shell: Shell) -> None:
    """The commands that `init` prints, one after the other, then those that the file's comments give."""
    made = shell.type("runner init sums").output
    steps = [re.split(" {3}", line.removeprefix("next:").strip())[0] for line in _after(made, "next:")]
    assert steps[0] == "cd sums"
    assert len(steps) == 4
    folder = replace(shell, folder=shell.folder / "sums")
    text = (folder.folder / "experiment.yaml").read_text()
    suggested = [words.strip() for words in re.findall(r"(?:it with:|try:)\s+(runner .*)", text)]
    assert len(suggested) == 2

    for command in [*steps[1:], *suggested]:
        done = folder.type(command)
        assert done.code == 0, done.output
        assert "Traceback" not in done.output


@pytest.mark.parametrize("line", ["limit: 5", "samples: 5"])
def test_init_suggests_what_works(shell: Shell, line: str) -> None:
    """Each key that the file only suggests works once its # is taken away."""
    shell.type("runner init sums")
    file = shell.folder / "sums" / "experiment.yaml"
    text = file.read_text()
    assert f"# {line}" in text
    file.write_text(text.replace(f"# {line}", line))
    done = shell.type("runner run sums/experiment.yaml sampling.temperature=1")

    assert done.code == 0, done.output


def _after(text: str, mark: str) -> list[str]:
    lines = text.strip().splitlines()
    return [line.strip() for line in lines[[line.startswith(mark) for line in lines].index(True) :]]
