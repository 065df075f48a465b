"""What the package imports is what pyproject.toml names, and the locks hold what it admits."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.docs_kit import ROOT

NEWER = {"compression"}
"""What Python itself has from a later version on, and is imported only there."""


def test_every_import_is_a_named_dependency() -> None:
    """Of the package itself, or of the extra whose engines need it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    shipped = [*project["dependencies"], *(text for name in extras if name != "dev" for text in extras[name])]
    named = {_plain(re.split(r"[\[<>=;]", text)[0]) for text in shipped}
    providers = packages_distributions()
    modules = {name for file in (ROOT / "runner").rglob("*.py") for name in _imported(file.read_text())}
    outside = modules - sys.stdlib_module_names - NEWER - {"runner", "_typeshed"}

    assert "jinja2" in outside
    assert {one for one in outside if not named & {_plain(d) for d in providers.get(one, [one])}} == set()


LOCKS = sorted((ROOT / "requirements").rglob("*.txt"))


def _pins(lock: Path) -> dict[str, str]:
    """Return the versions that a lock names."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_lock_holds_for_everybody(lock: Path) -> None:
    """It names no index and no place of a machine, and every package has a hash."""
    text = lock.read_text()
    blocks = re.split(r"(?m)^(?=[a-z0-9][a-z0-9.-]*==)", text)[1:]

    assert "://" not in text
    assert re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE) is None
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("run", {"embedded"}),
        ("dev", {"embedded", "dev", "openai", "anthropic", "mistral", "google", "together", "parquet"}),
        ("engines/transformers", {"transformers", "peft"}),
    ],
)
def test_lock_is_within_the_ranges(name: str, extras: set[str]) -> None:
    """Whoever changes pyproject.toml and forgets `make lock` learns it here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = _pins(ROOT / "requirements" / f"{name}.txt")
    texts = project["dependencies"] + [
        text for extra in sorted(extras) for text in project["optional-dependencies"][extra]
    ]
    wanted = [one for one in map(Requirement, texts) if one.name not in {"llm-runner", "torch"}]

    assert len(wanted) > 15
    assert [str(one) for one in wanted if not one.specifier.contains(pins.get(_plain(one.name), "0"))] == []


def _imported(source: str) -> set[str]:
    """Return the top-level names of all modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower().strip()
