"""What can name nothing here gets one message, whatever its length, its characters, or what lies there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands.commands_kit import SUMS
from tests.commands.conftest import MakeProject

NAMES = {
    "300 bytes": "x" * 300,
    "5000 bytes": "x" * 5000,
    "a long path": "a/" * 3000 + "b",
    "two lines": "a\nb",
    "a NUL": "a\0b",
    "umlauts": "ä" * 200,
    "a dot": ".",
    "two dots": "..",
    "the root": "/",
    "a circle": "loop",
    "below a circle": "loop/x.jsonl",
    "a pipe": "pipe",
    "below a file": "rows.jsonl/x.jsonl",
    "a device": "/dev/zero",
    "no user": "~nobody_of_that_name/x.jsonl",
}
KEYS = [
    "model",
    "model.name",
    "model.revision",
    "model.tokenizer",
    "model.chat_template",
    "model.adapter",
    "engine",
    "engine.python",
    "sampling",
    "sampling.json_schema",
    "sampling.tools",
    "prompt.template",
    "dataset",
    "dataset.path",
    "scorers",
    "scorers.exact",
    "cluster",
    "topology",
    "extends",
    "name",
    "task",
]
ONE_MESSAGE = 2_000
"""Most characters that a message of one fault has."""


def _oddities(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")


def _with(key: str, value: str, engine: str) -> str:
    config: dict[str, Any] = yaml.safe_load(SUMS)
    *above, last = key.split(".")
    holder = config
    for part in above:
        inner = holder.get(part)
        holder[part] = holder = inner if isinstance(inner, dict) else {}
    holder[last] = value
    if key.startswith("model."):
        config["model"] = {"name": "org/parrot", **config["model"]}
        config["engine"]["kind"] = engine
    if key == "engine.python":
        config["engine"]["kind"] = "vllm"
        config["model"] = {"name": "org/parrot"}
    if key == "prompt.template":
        config["prompt"] = {"template": value}
    return yaml.safe_dump(config, allow_unicode=True)


@pytest.mark.parametrize("key", KEYS)
def test_no_name_in_a_file_is_too_odd_for_a_message(project: MakeProject, key: str) -> None:
    """Each is refused in a few words that name its key, or taken by who can use it."""
    here = project({})
    _oddities(here.root)
    refused = 0
    for name, engine in product(NAMES.values(), ("fake", "mistralrs")):
        (here.root / "odd.yaml").write_text(_with(key, name, engine))
        found = here.run("plan", "odd.yaml")
        assert found.code in {0, 2}, (name[:50], found)
        refused += found.code == 2
        if found.code == 2:
            assert key.split(".", maxsplit=1)[0] in found.err, (name[:50], found.err)
            assert len(found.err) < ONE_MESSAGE, (name[:50], len(found.err))
    assert refused > 0


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "NAME"],
        ["run", "NAME"],
        ["render", "NAME"],
        ["render", "sums.yaml", "--point", "NAME"],
        ["parity", "NAME", "--engines", "fake,fake"],
        ["cache", "explain", "NAME"],
        ["cache", "explain", "sums.yaml", "--row", "NAME"],
        ["status", "NAME"],
        ["logs", "NAME"],
        ["cancel", "NAME"],
        ["resume", "NAME"],
        ["rescore", "NAME"],
        ["plan", "sums.yaml", "NAME"],
    ],
    ids="-".join,
)
def test_no_argument_is_too_odd_for_a_message(project: MakeProject, words: list[str]) -> None:
    """Exit code 2, and nothing is launched."""
    here = project({})
    _oddities(here.root)
    for name in NAMES.values():
        found = here.ran(*(name if word == "NAME" else word for word in words), code=2)
        assert found.err.startswith("runner: "), (name[:50], found.err)
    assert not (here.root / "runs").exists()


@pytest.mark.parametrize("name", ["300 bytes", "a long path", "a NUL", "a circle", "no user"])
@pytest.mark.parametrize("command", [["plan", "sums.yaml"], ["status"], ["cache", "stats"], ["doctor"]])
def test_folder_of_runs_that_cannot_be_is_refused(
    project: MakeProject, name: str, command: list[str]
) -> None:
    """Before anything is looked up in it."""
    here = project({})
    _oddities(here.root)

    assert "runner: " in here.ran(*command, "--runs", NAMES[name], code=2).err


@pytest.mark.parametrize("words", [["plan", ""], ["plan", "sums.yaml", "--runs", ""], ["init", ""]])
def test_empty_text_is_no_path(project: MakeProject, words: list[str]) -> None:
    """It doesn't stand for the working folder."""
    assert project({}).ran(*words, code=2).err.startswith("runner: ''")


def test_environments_folder_of_runs_that_cannot_be_is_refused(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RUNNER_RUNS is checked as --runs is."""
    monkeypatch.setenv("RUNNER_RUNS", "x" * 300)

    assert "the name is too long" in project({}).ran("plan", "sums.yaml", code=2).err


def test_prompt_of_any_length_is_sent(project: MakeProject) -> None:
    """Text that is too long for a folder's name is a message all the same."""
    for size in (255, 256, 5_000, 100_000):
        text = "word " * (size // 5) + "{{ row.question }}"
        here = project({"long.yaml": SUMS.replace('"{{ row.question }}"', f'"{text}"')})
        assert "1 point" in here.ran("plan", "long.yaml").out
        (here.root / "unbroken.yaml").write_text(
            SUMS.replace('"{{ row.question }}"', "語" * (size // 3 + 1)), encoding="utf-8"
        )
        assert "1 point" in here.ran("plan", "unbroken.yaml").out


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pipe", "it is a pipe, not a regular file"),
        ("socket", "it is a socket"),
        ("folder", "folder"),
        ("device", "it is a device"),
        ("circle", "symbolic links lead in a circle"),
    ],
)
@pytest.mark.parametrize(
    "place", ["dataset", "template", "schema", "chat template", "experiment", "option", "extends"]
)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    project: MakeProject, place: str, kind: str, said: str, tmp_path: Path
) -> None:
    """The message names the file and what it is."""
    here = project({"templates/odd/user.j2": "", "conf/sampling/odd.yaml": ""})
    files = {
        "dataset": "rows.jsonl",
        "template": "templates/odd/user.j2",
        "schema": "schema.json",
        "chat template": "chat.jinja",
        "experiment": "sums.yaml",
        "option": "conf/sampling/odd.yaml",
        "extends": "base.yaml",
    }
    overrides = {
        "template": "prompt={template: odd}",
        "schema": "sampling.json_schema=schema.json",
        "chat template": "model.chat_template=chat.jinja",
        "option": "sampling=odd",
    }
    file = here.root / files[place]
    file.unlink(missing_ok=True)
    listener = _place(kind, file, tmp_path)
    if place == "extends":
        (here.root / "sums.yaml").write_text("extends: base.yaml\n")
    words = [overrides[place]] if place in overrides else []

    found = here.ran("plan", "sums.yaml", *words, code=2)

    if listener is not None:
        listener.close()
    named = "odd" if place in {"option", "template"} else file.name
    assert named in found.err
    assert said.removesuffix(", not a regular file") in found.err or place in {"option", "template"}


def _place(kind: str, file: Path, elsewhere: Path) -> socket.socket | None:
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "circle":
        file.symlink_to(file.name)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(elsewhere / "s"))
        file.symlink_to(elsewhere / "s")
        return listener
    return None


@pytest.mark.parametrize("given", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_what_only_this_process_has_open_is_no_dataset(project: MakeProject, given: str) -> None:
    """Nor is the file that it leads to there: a job has another standard input."""
    project({})
    command = [sys.executable, "-m", "runner", "plan", "sums.yaml", f"dataset={{path: {given}, kind: jsonl}}"]
    with Path("rows.jsonl").open() as rows:
        done = subprocess.run(command, stdin=rows, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "another file to every process" in done.stderr


def test_endless_files_are_refused_at_a_stated_size(project: MakeProject) -> None:
    """An experiment or a template of gigabytes is no experiment and no template."""
    here = project({"templates/big/user.j2": ""})
    for name in ("big.yaml", "templates/big/user.j2"):
        with (here.root / name).open("wb") as file:
            file.truncate(5_000_000_000)

    assert "larger than 10,000,000 bytes" in here.ran("plan", "big.yaml", code=2).err
    assert "larger than 10,000,000 bytes" in here.ran("plan", "sums.yaml", "prompt=big", code=2).err
