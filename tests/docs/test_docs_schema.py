"""Editors find nothing wrong with what the documentation shows, what ships and what `init` writes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from runner.cli import main
from runner.config import json_schema
from runner.config.document import read_document
from runner.shipped import shipped
from tests.docs.docs_kit import PAGES, ROOT, Block, blocks

SHOWN = [(page, block) for page in PAGES for block in blocks(page) if block.is_experiment or block.is_option]
SHIPPED = sorted([*(shipped() / "experiments").glob("*.yaml"), *(shipped() / "conf").rglob("*.yaml")])


@cache
def _validator(group: str) -> Draft202012Validator:
    schema = json_schema()
    return Draft202012Validator({"$ref": f"#/$defs/{group}", "$defs": schema["$defs"]} if group else schema)


def _faults(file: Path, group: str = "") -> list[str]:
    errors = _validator(group).iter_errors(read_document(file, file.name).data)
    return [f"{error.json_path}: {error.message}" for error in errors]


@pytest.mark.parametrize(("page", "block"), SHOWN, ids=[f"{page.name}:{block.line}" for page, block in SHOWN])
def test_editors_take_what_is_documented(tmp_path: Path, page: Path, block: Block) -> None:  # noqa: ARG001 - names the test
    """Each option, each experiment and each part of one, which a file that extends another could hold."""
    file = tmp_path / "block.yaml"
    file.write_text(block.text)

    assert _faults(file, Path(block.path).parts[1] if block.is_option else "") == []


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.relative_to(shipped()).as_posix())
def test_editors_take_what_ships(file: Path) -> None:
    """Each experiment and option."""
    group = file.parent.name if file.parent.parent.name == "conf" else ""

    assert _faults(file, group) == []


def test_editors_take_what_init_writes(tmp_path: Path) -> None:
    """As it is, and with what it only suggests."""
    assert main(["init", str(tmp_path / "sums")]) == 0

    file = tmp_path / "sums" / "experiment.yaml"
    assert _faults(file) == []
    suggested = file.read_text().replace("# samples:", "samples:").replace("# cluster:", "cluster:")
    file.write_text(suggested.replace("# limit:", "limit:"))
    assert _faults(file) == []


@pytest.mark.parametrize(
    ("shown", "typed"),
    [("max_tokens", "max_token"), ("temperature: 0\n", "temperature: cold\n"), ("sampling:", "sampled:")],
)
def test_editors_find_typos_in_the_documented_experiment(tmp_path: Path, shown: str, typed: str) -> None:
    """In a key, a value, and a key of the top level."""
    text = (ROOT / "experiments" / "addition.yaml").read_text()
    file = tmp_path / "typo.yaml"
    file.write_text(text.replace(shown, typed))

    assert shown in text
    assert len(_faults(file)) == 1
