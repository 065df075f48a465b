"""The environment that templates run in: sandboxed, strict, and the same for the same row."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class NullError(jinja2.TemplateRuntimeError):
    """Raised when an expression whose text was asked for is null."""

    def __init__(self, expression: str = "") -> None:
        super().__init__(
            f"{expression or 'an expression'} is null; "
            f"write {{{{ {expression or '...'} or '' }}}} to allow it"
        )


class Columns(dict[str, Any]):
    """A row as templates see it: what isn't a column is undefined."""

    __slots__ = ()


class Sandbox(sandbox.ImmutableSandboxedEnvironment):
    """The sandbox, with keys of maps coming before methods of dict.

    Attributes:
        files: source of every template that can be compiled or included, by name.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        super().__init__(
            loader=jinja2.DictLoader(files),
            undefined=_Undefined,
            finalize=_not_null,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.files = files
        self.filters["tojson"] = _tojson
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
def _not_null(_: object, value: Any) -> Any:
    """Refuse a null where text is expected, which Python would call None."""
    if value is None:
        raise NullError
    return value


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
