"""What the strings below the fields of a model's class say, for its JSON Schema.

Pydantic's `use_attribute_docstrings` reads them when a class is made: parsing every module of settings took a
third of a command's start, and only faults, editors and the docs need them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache


@cache
def attribute_docstrings(of: type) -> dict[str, str]:
    """Return the string below each field, those of base classes too; none where there is no source file."""
    found: dict[str, str] = {}
    for base in reversed(of.__mro__[:-1]):
        found |= _own(base)
    return found


@cache
def _own(of: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(of))
    except (OSError, TypeError):  # made at run time, or built in
        return {}
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        text = below.value if isinstance(below, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            found[field.target.id] = inspect.cleandoc(text.value)
    return found
