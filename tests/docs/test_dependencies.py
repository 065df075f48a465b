"""What the package imports is what pyproject.toml names: nothing comes along with something else by luck."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.docs.docs_kit import ROOT


def test_every_import_is_a_named_dependency() -> None:
    """Of the package itself, or of the extra whose engines need it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    shipped = [*project["dependencies"], *(text for name in extras if name != "dev" for text in extras[name])]
    named = {_plain(re.split(r"[\[<>=;]", text)[0]) for text in shipped}
    providers = packages_distributions()
    modules = {name for file in (ROOT / "runner").rglob("*.py") for name in _imported(file.read_text())}
    outside = modules - sys.stdlib_module_names - {"runner", "_typeshed"}

    assert "jinja2" in outside
    assert {one for one in outside if not named & {_plain(d) for d in providers.get(one, [one])}} == set()


def _imported(source: str) -> set[str]:
    """Return the top-level names of all modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower().strip()
