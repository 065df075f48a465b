"""What a template refers to, as far as its text shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from jinja2 import meta, nodes

from runner.render.errors import TemplateError
from runner.render.sandbox import Sandbox, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class References:
    """The names that a template takes from outside, and the columns it can't do without."""

    names: frozenset[str]
    columns: frozenset[str]


Lookups: TypeAlias = tuple[tuple[str | None, str | None], ...]


def references(env: Sandbox, name: str, above: frozenset[str] = frozenset()) -> References:
    """Return what a template takes from outside; the files that it includes count as part of it.

    Raises:
        TemplateError: it includes a file that isn't there.
        jinja2.TemplateSyntaxError: it, or a file that it includes, is no template.
    """
    env.get_template(name)
    tree = env.parse(env.files[name], name)
    names = set(meta.find_undeclared_variables(tree))
    columns = _columns(tree)
    bound = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    bound.update(node.name for node in tree.find_all(nodes.Macro))
    for node, file in _files(tree):
        if file in above or file == name:
            continue
        if file not in env.files:
            if getattr(node, "ignore_missing", False):
                continue
            beside = [other for other in env.files if other != name]
            raise TemplateError(name, node.lineno, f"no file {file!r} beside it", suggestion(file, beside))
        inner = references(env, file, above | {name})
        columns |= inner.columns
        if getattr(node, "with_context", True):
            names |= inner.names - bound
    return References(frozenset(names), frozenset(columns))


def _files(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    kinds = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    for node in tree.find_all(kinds):
        given = getattr(node, "template", None)
        if isinstance(given, nodes.Const) and isinstance(given.value, str):
            yield node, given.value


def _columns(tree: nodes.Template) -> set[str]:
    """Return the columns that a template names, less those it provides for being absent."""
    guarded = [
        node.node
        for node in tree.find_all((nodes.Test, nodes.Filter))
        if getattr(node, "name", "") in {"defined", "undefined", "default", "d"}
    ]
    used = {column for node in tree.find_all((nodes.Getattr, nodes.Getitem)) if (column := _column(node))}
    return used - {column for node in guarded if (column := _column(node))}


def _column(node: Any) -> str | None:
    """Return the column that ``row.x`` or ``row['x']`` names."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem) or not isinstance(node.node, nodes.Name):
        return None
    if node.node.name != "row":
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None


def lookups(tree: nodes.Template) -> Lookups | None:
    """Return a template of nothing but text, names and columns as (name, column) pairs, else None.

    Text is (None, text), ``{{ slot }}`` is (slot, None), ``{{ row.x }}`` is ("row", x).
    """
    found: list[tuple[str | None, str | None]] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for part in output.nodes:
            if isinstance(part, nodes.TemplateData):
                found.append((None, part.data))
            elif isinstance(part, nodes.Name) and part.name != "self":
                found.append((part.name, None))
            elif column := _column(part):
                found.append(("row", column))
            else:
                return None
    return tuple(found)
