"""The environment that templates run in: sandboxed, strict, and the same for the same row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import jinja2
from jinja2 import nodes, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LAZY: Final = (
    "batch",
    "items",
    "map",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "slice",
    "unique",
)
"""Filters that give their values one after another."""


class NullError(jinja2.TemplateRuntimeError):
    """Raised when an expression whose text was asked for is null."""

    def __init__(self, expression: str = "") -> None:
        super().__init__(
            f"{expression or 'an expression'} is null; "
            f"write {{{{ {expression or '...'} or '' }}}} to allow it"
        )


class NoTextError(jinja2.TemplateRuntimeError, nodes.Impossible):
    """Raised when the text of what has none is asked for: Python would tell where in memory it lies.

    It is also Jinja2's word for what can't be done while compiling: a constant one fails on a row as well.
    """

    def __init__(self, value: object) -> None:
        what, how = "values", "add `| list` or `| join`"
        if isinstance(value, bytes):
            what, how = "bytes", "if they are UTF-8, add `.decode()`"
        elif callable(value):
            what, how = "a method or a function", "call it: `()`"
        super().__init__(f"an expression gives {what}, not a text; {how}")


class Lazy:
    """What a filter gives one after another; its text is an error wherever it is asked for."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterator[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        return self._values

    def __next__(self) -> Any:
        return next(self._values)

    def __str__(self) -> str:
        raise NoTextError(self)

    __repr__ = __str__


class Columns(dict[str, Any]):
    """A row as templates see it: what isn't a column is undefined."""

    __slots__ = ()


class Sandbox(sandbox.ImmutableSandboxedEnvironment):
    """The sandbox, with keys of maps coming before methods of dict.

    White space is what ``jinja2.Environment(keep_trailing_newline=True)`` makes of it: raw prompts are sent
    byte for byte.

    Attributes:
        files: source of every template that can be compiled or included, by name.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        super().__init__(
            loader=jinja2.DictLoader(files),
            undefined=_Undefined,
            finalize=_with_text,
            auto_reload=False,
            keep_trailing_newline=True,
        )
        self.files = files
        self.filters["tojson"] = _tojson
        self.filters.update({name: _lazy(self.filters[name]) for name in _LAZY})
        del self.filters["random"], self.globals["lipsum"]

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            try:
                return obj[attribute]
            except KeyError:
                if isinstance(obj, Columns):
                    return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Columns):
            try:
                return obj[argument]
            except (KeyError, TypeError):
                return self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)


class _Undefined(jinja2.StrictUndefined):
    """Says which columns there are when a template asks for another one."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint or not isinstance(self._undefined_obj, Columns):
            return super()._undefined_message
        return missing_column(str(self._undefined_name), self._undefined_obj)


@jinja2.pass_context  # so that a constant null fails on a row as well, not while compiling
def _with_text(_: object, value: Any) -> Any:
    """Refuse a null where text is expected, which Python would call None, and what has no text."""
    if type(value) is str:
        return value
    if value is None:
        raise NullError
    if (
        isinstance(value, bytes)
        or hasattr(value, "__next__")
        or (callable(value) and not isinstance(value, jinja2.Undefined))
    ):
        raise NoTextError(value)
    return value


def _lazy(applied: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(applied)
    def apply(*given: Any, **named: Any) -> Any:
        found = applied(*given, **named)
        return Lazy(found) if hasattr(found, "__next__") else found

    return apply


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def missing_column(column: str, row: Iterable[str]) -> str:
    """Say that *row* has no such column, and what it has."""
    return f"the row has no column {column!r} ({suggestion(column, row)})"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the nearest of the *known* names, where one is near, and all of them."""
    listed = tuple(known)
    near = get_close_matches(name, listed, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"known: {', '.join(listed) or 'none'}"
