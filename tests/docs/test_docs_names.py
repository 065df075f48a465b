"""Every name that the pages use for something of the runner's is the name of something that is there."""

from __future__ import annotations

import ast
import builtins
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runner.cli import COMMANDS, command_parser, main
from runner.config import json_schema
from runner.results import ErrorLine, ResultLine
from runner.values import Json
from tests.docs.docs_kit import IDS, PAGES, ROOT

GROUPS = ("model", "engine", "topology", "sampling", "prompt", "dataset", "scorers", "cluster", "output")
NOT_KEYS = {"temprature", "map", "py", "user", "exact_match", "named", "numeric"}
"""Seen after a group's name and a dot: a typo that is shown, methods, files, names of the reader's own."""

CODE = re.compile(r"`([^`\n]+)`")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@cache
def _sources() -> dict[Path, str]:
    return {path: path.read_text() for path in sorted((ROOT / "runner").rglob("*.py"))}


@cache
def _classes() -> set[str]:
    trees = [ast.parse(text) for text in _sources().values()]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_error_classes_exist(page: Path) -> None:
    """Each class of an error, ours or Python's."""
    named = set(re.findall(r"\b[A-Z]\w+Error\b", page.read_text()))

    assert {name for name in named if name not in _classes() and not hasattr(builtins, name)} == set()


def test_variables_exist() -> None:
    """What the pages call RUNNER_..., the code reads; what the code reads, the pages name."""
    pattern = re.compile(r"\bRUNNER_[A-Z_]+")
    named = {name for page in PAGES for name in pattern.findall(page.read_text())}
    read = {name for text in _sources().values() for name in pattern.findall(text)}

    assert "RUNNER_RUNS" in named
    assert named == read


def _keys(node: Json, seen: set[str]) -> Iterator[str]:
    """Yield the names of all properties below a part of the schema."""
    if isinstance(node, list):
        for item in node:
            yield from _keys(item, seen)
    elif isinstance(node, dict):
        yield from node.get("properties", {})
        name = str(node.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield from _keys(json_schema()["$defs"][name], seen)
        for value in node.values():
            yield from _keys(value, seen)


@pytest.mark.parametrize("group", GROUPS)
def test_keys_exist(group: str) -> None:
    """Each key that a page names with its group, such as `engine.concurrency`."""
    known = {*_keys(json_schema()["properties"][group], set()), *NOT_KEYS}
    named = {
        (page.name, key)
        for page in PAGES
        for key in re.findall(rf"(?<![\w./]){group}\.([a-z_]+)", page.read_text())
    }

    assert {(name, key) for name, key in named if key not in known} == set()


def _options() -> set[str]:
    """Return every option that a command of ours has."""
    found: set[str] = set()
    for name in COMMANDS:
        parser, _ = command_parser(name)
        found |= {option for action in parser._actions for option in action.option_strings}
    return found


def test_options_exist() -> None:
    """Each option of `runner` that prose names; those of other programs stand with their program's name."""
    theirs = {"--generation-config", "--sampling-defaults", "--runner", "--convert", "--is-embedding"}
    theirs |= {"--no-deps", "--no-build-isolation", "--cov"}
    named = {
        (page.name, option)
        for page in PAGES
        for code in CODE.findall(FENCED.sub("", page.read_text()))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)
        if not code.startswith(("sbatch", "scontrol", "pip", "hf", "make", "jinja2"))
    }

    assert len(named) > 8
    assert {(name, option) for name, option in named if option not in _options() | theirs} == set()


def test_commands_in_prose_parse() -> None:
    """Each `runner ...` within a sentence is a command line that the parser takes."""
    typed = {
        code
        for page in PAGES
        for code in CODE.findall(FENCED.sub("", page.read_text()))
        if code.startswith("runner ") and "..." not in code and "|" not in code
    }
    assert len(typed) > 15
    for code in typed:
        _, command, *words = shlex.split(code)
        assert command in {*COMMANDS, "--help"}, code
        if command in COMMANDS and (words or command not in {"cache", "parity", "completion"}):
            parser, _ = command_parser(command)
            try:
                parser.parse_intermixed_args(words)
            except SystemExit:
                bare = not [word for word in words if not word.startswith("-")]
                assert bare, code  # a command that is only spoken of: `runner rescore`


def test_files_exist() -> None:
    """Each file of the checkout that a page names."""
    named = {
        (page.name, code)
        for page in PAGES
        for code in CODE.findall(FENCED.sub("", page.read_text()))
        if re.fullmatch(r"(runner|tests|scripts|benchmarks|docs|experiments)/[\w./-]+\.\w+", code)
    }

    assert len(named) > 20
    assert {(name, code) for name, code in named if not (ROOT / code).is_file()} == {
        ("CONTRIBUTING.md", "runner/engines/NAME.py"),
        ("CONTRIBUTING.md", "runner/commands/NAME.py"),
        ("cache.md", "runner/hashes.sqlite"),  # in the user's cache folder
    }


def _table(page: str, heading: str, first: str) -> list[list[str]]:
    """Return the cells of the table that begins with the header *first*, below a heading of a page."""
    section = (ROOT / "docs" / page).read_text().partition(f"{heading}\n")[2]
    lines = section.partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    assert lines
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_fields_of_results_are_documented() -> None:
    """Each field of a line, and no other."""
    named = {
        name
        for cells in _table("run-folder.md", "## results.jsonl", "field")
        for name in CODE.findall(cells[0])
    }
    error = next(
        cells[1] for cells in _table("run-folder.md", "## results.jsonl", "field") if "error" in cells[0]
    )

    assert named == set(ResultLine.__struct_fields__)
    assert set(CODE.findall(error)) == set(ErrorLine.__struct_fields__)


def test_fields_of_metrics_are_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field of a point's metrics.json, and of each of its scores."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", "addition", "engine=fake", "dataset.limit=5", "engine.error_rate=0"]) == 0
    (file,) = tmp_path.glob("runs/*/*/points/0/metrics.json")
    metrics = json.loads(file.read_text())
    section = (
        (ROOT / "docs" / "run-folder.md").read_text().partition("## metrics.json\n")[2].partition("\n## ")[0]
    )
    named = set(CODE.findall(section))

    assert set(metrics) - named == set()
    assert set(metrics["scores"]["exact_match"]["mean"]) - named == set()


@cache
def _texts() -> list[str]:
    """Return every text of the code; what is filled in is a NUL."""
    texts = []
    for source in _sources().values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                texts.append("".join(map(str, parts)))
    return texts


def _is_printed(fragment: str) -> bool:
    """Tell whether the code has a text with such a part; any word may be filled in."""
    words = re.sub(r"^(warning|note): ", "", fragment)
    pattern = r"\s+".join(rf"(?:{re.escape(word)}|\S*\0\S*)" for word in words.split())
    return any(_overlap(words, text) and re.search(pattern, text) for text in _texts())


def _overlap(words: str, text: str) -> bool:
    """Tell whether at least one word is the text's own, and not only what is filled in."""
    return any(len(word) > 2 and word in text for word in words.split())


def test_messages_are_printed() -> None:
    """Each message of the table in errors.md is one that the code has."""
    theirs = {"Use 'max_completion_tokens' instead", "No space left on device"}  # a server's, the system's
    messages = [
        code for cells in _table("errors.md", "## Messages", "message") for code in CODE.findall(cells[0])
    ]
    fragments = {
        part.strip().strip("()")
        for message in messages
        for part in re.split(r"\.\.\.|: (?=No space)", message)
        if part.strip() and part.strip() not in theirs
    }

    assert len(fragments) > 25
    assert {fragment for fragment in fragments if not _is_printed(fragment)} == set()
