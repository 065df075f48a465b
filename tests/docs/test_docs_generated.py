"""The generated parts of the documentation are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.make_docs import DOCS, pages

MADE = sorted(pages())


@pytest.mark.parametrize("path", MADE, ids=[path.name for path in MADE])
def test_generated_page_is_up_to_date(path: Path) -> None:
    """What ``make docs`` would write is what stands there."""
    assert path.read_text() == pages()[path], "run: make docs"


def test_generated_pages_are_these() -> None:
    """No page has lost the marks between which it is written."""
    assert {path.name for path in MADE} == {
        "commands.md",
        "configuration.md",
        "engines.md",
        "errors.md",
        "schema.json",
    }
    assert all(path.parent == DOCS for path in MADE)
