"""Templates whose result is a value, not a text: a number or a list that a row holds stays what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jinja2

from runner.errors import RenderError
from runner.render.errors import TemplateError
from runner.render.sandbox import Columns, Sandbox
from runner.render.template import FAILURES, Template, compile_template, reason

_ONE_EXPRESSION = re.compile(r"\s*\{\{-?(?P<expression>(?:(?!\}\}).)*?)-?\}\}\s*", re.DOTALL)


class ValueTemplate:
    """A compiled value; made by `compile_value`.

    Attributes:
        name: how messages call it.
    """

    __slots__ = ("_bare", "_direct", "_expression", "_text", "name")

    def __init__(self, source: str, name: str) -> None:
        self.name = name
        self._text: Template = compile_template(source, name=name)
        one = _ONE_EXPRESSION.fullmatch(source)
        self._bare = source.strip() == source
        self._direct = self._text.single_lookup() if self._bare else None
        self._expression = None
        if one is not None:
            env = Sandbox({name: source})
            self._expression = env.compile_expression(one["expression"], undefined_to_none=False)

    @property
    def column(self) -> str | None:
        """The column of the row whose value this is; None where it is anything else."""
        return self._direct[1] if self._direct is not None and self._direct[0] == "row" else None

    def names(self) -> frozenset[str]:
        """Return the names it takes from outside."""
        return self._text.names()

    def columns(self) -> frozenset[str]:
        """Return the columns it can't do without, as far as the text shows."""
        return self._text.columns()

    def value(self, names: dict[str, Any]) -> Any:
        """Return the value of one expression as it is, an iterator as a list; of anything else the text.

        White space around the expression is part of a text, and means nothing beside any other value.

        Raises:
            RenderError: as `Template.render`.
        """
        if self._expression is None:
            return self._text.render(names)
        if self._direct is not None:
            try:
                return _look_up(names, *self._direct)
            except (LookupError, TypeError):
                pass  # the general path names what is missing
        row = names.get("row")
        visible = {**names, "row": Columns(row)} if type(row) is dict else names
        try:
            found = self._expression(visible)
            if isinstance(found, jinja2.Undefined):
                return str(found)  # of an if without else it is the empty text; all others raise
            if isinstance(found, str) and found and not self._bare:
                return self._text.render(names)
            return list(found) if isinstance(found, Iterator) else found
        except FAILURES as error:
            raise RenderError(f"template {self.name}: {reason(error)}") from error


def _look_up(names: dict[str, Any], name: str, column: str | None) -> Any:
    value = names[name] if column is None else names[name][column]
    # Whether something is an iterator takes longer to tell than all else here.
    return value if type(value) is str or not isinstance(value, Iterator) else list(value)


def compile_value(source: str, *, name: str) -> ValueTemplate:
    """Compile *source*, such as ``"{{ row.temperature }}"``.

    Raises:
        TemplateError: it is no template.
    """
    try:
        return ValueTemplate(source, name)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(name, error.lineno, error.message or "not an expression") from None
