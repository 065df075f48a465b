"""All that is printed passes through `runner.terminal` or `runner.screen`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import runner

PACKAGE = Path(runner.__file__).parent
OWN = {"terminal.py", "screen.py", "streams.py"}
"""The way itself."""
PROGRAMS = {"servers/guard.py"}
"""Programs of their own, run by path, whose output goes into a log."""
WAYS = {
    "print",
    "Console",
    "rich.print",
    "pprint",
    "sys.stdout.write",
    "sys.stderr.write",
    "sys.stdout.buffer.write",
    "sys.stderr.buffer.write",
    "sys.__stdout__.write",
    "sys.__stderr__.write",
    "traceback.print_exc",
    "traceback.print_exception",
    "warnings.warn",
    "logging.basicConfig",
    "logging.StreamHandler",
}


def _printing(tree: ast.AST) -> list[str]:
    """Return what prints, by its name and line; a function that is handed on counts too."""
    typed = _annotated(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = ast.unparse(node)
            if name in WAYS and node.lineno not in typed:
                found.append(f"{node.lineno}: {name}")
        elif isinstance(node, ast.keyword) and node.arg == "file" and "sys.std" in ast.unparse(node.value):
            found.append(f"{node.value.lineno}: file")
        elif isinstance(node, ast.Call) and ast.unparse(node).startswith(("os.write(1,", "os.write(2,")):
            found.append(f"{node.lineno}: os.write")
    return found


def _annotated(tree: ast.AST) -> set[int]:
    """Return the lines of annotations, which name types and print nothing."""
    named = (getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns"))
    return {found.lineno for found in named if isinstance(found, ast.expr)}


MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", [name for name in MODULES if name not in OWN | PROGRAMS])
def test_module_prints_in_no_other_way(module: str) -> None:
    """Use `terminal.write`, `terminal.write_error`, or a `screen.Screen`."""
    assert _printing(ast.parse((PACKAGE / module).read_text())) == []


@pytest.mark.parametrize(
    "line",
    ["print(x)", "partial(print, flush=True)", "sys.stdout.write(x)", "Console()", "f(file=sys.stderr)"],
)
def test_other_ways_are_found(line: str) -> None:
    """The check itself can fail."""
    assert _printing(ast.parse(line)) != []
