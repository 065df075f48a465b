"""Compiling and rendering one template."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import jinja2

from runner.errors import Fault, RenderError
from runner.render.errors import TemplateError
from runner.render.references import lookups, references
from runner.render.sandbox import Columns, NoTextError, NullError, Sandbox, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

FAILURES: Final = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,  # Jinja2 writes a number that is too large into its Python code as inf
    RuntimeError,
    TypeError,
    ValueError,
)
"""What an expression can raise on a row's values: the row fails, not the job."""

_NO_FILES: Final[Mapping[str, str]] = {}


class Template:
    """A compiled template; made by `compile_template`, reusable for all rows and threads.

    Attributes:
        name: how messages call it.
    """

    __slots__ = ("_direct", "_environment", "_globals", "_references", "_template", "name")

    def __init__(self, env: Sandbox, name: str) -> None:
        self.name = name
        try:
            self._references = references(env, name)
            self._template = env.get_template(name)
            self._direct = lookups(env.parse(env.files[name], name))
        except jinja2.TemplateSyntaxError as error:
            problem = (error.message or "not a template").rstrip(".")
            raise TemplateError(error.name or name, error.lineno, problem, _nearest(env, problem)) from None
        self._environment = env
        # Jinja2's own chain of maps is gone through for every rendering.
        self._template.globals = dict(env.globals)
        texts = "\n".join(env.files.values())
        self._globals = {name: one for name, one in env.globals.items() if name in texts}
        """Those that it may use, or a file that it includes."""

    def names(self) -> frozenset[str]:
        """Return the names it takes from outside, those of the files it includes among them."""
        return self._references.names

    def columns(self) -> frozenset[str]:
        """Return the columns it can't do without, as far as the text shows."""
        return self._references.columns

    def single_lookup(self) -> tuple[str, str | None] | None:
        """Return the name and the column if the template looks up one value and has no other text."""
        if self._direct is None or len(self._direct) != 1:
            return None
        ((name, column),) = self._direct
        return None if name is None else (name, column)

    def render(self, names: Mapping[str, object]) -> str:
        """Render with *names*, of which ``row`` is the dict of a row's columns.

        Raises:
            RenderError: the template uses what isn't there, or an expression failed on this row.
        """
        if self._direct is not None:
            try:
                return "".join([_look_up(names, name, column) for name, column in self._direct])
            except FAILURES:
                pass  # the general path fails too, and knows the line
        return self._render(names)

    def _render(self, names: Mapping[str, object]) -> str:
        visible = {**self._globals, **names}
        row = visible.get("row")
        if type(row) is dict:
            visible["row"] = Columns(row)
        try:
            # As `jinja2.Template.new_context` with *shared*, which takes longer to call this than it takes.
            context = self._environment.context_class(
                self._environment, visible, self.name, self._template.blocks
            )
            return "".join(self._template.root_render_func(context))
        except FAILURES as error:
            told = reason(self._named(error, names))
            raise RenderError(f"template {_place(error, self.name)}: {told}") from error

    def _named(self, error: Exception, names: Mapping[str, object]) -> Exception:
        """Return *error*, or for a null the one that names it, which only look-ups can tell."""
        for name, column in self._direct or () if isinstance(error, NullError) else ():
            try:
                _look_up(names, name, column)
            except (NullError, NoTextError) as named:
                return named
            except FAILURES:
                continue
        return error


@lru_cache(maxsize=1024)
def _compiled(source: str, name: str, siblings: tuple[tuple[str, str], ...]) -> Template:
    return Template(Sandbox({**dict(siblings), name: source}), name)


def compile_template(source: str, *, name: str, siblings: Mapping[str, str] = _NO_FILES) -> Template:
    """Compile *source*; *siblings* are the files that it may include, by file name.

    Raises:
        TemplateError: it is no template, or includes a file that isn't there.
    """
    return _compiled(source, name, tuple(sorted(siblings.items())))


class Named(Protocol):
    """Something that takes names from outside."""

    @property
    def name(self) -> str: ...

    def names(self) -> frozenset[str]: ...


def unknown_names(template: Named, known: Iterable[str], place: str) -> list[Fault]:
    """Return a fault of the config key *place* for each name that no row will define."""
    listed = tuple(known)
    return [
        Fault(place, f"template {template.name}: unknown name {name!r}", _meant(name, listed))
        for name in sorted(template.names().difference(listed))
    ]


def _meant(name: str, known: Collection[str]) -> str:
    """Say what is known; what is near no name of these is most likely a column."""
    hint = suggestion(name, known)
    column = "row" in known and hint.startswith("known")
    return f"{hint}; a column is row.NAME, such as row.{name}" if column else hint


def template_faults(source: str, place: str, known: Iterable[str] | None) -> list[Fault]:
    """Return what is wrong with the template at the config key *place*.

    Args:
        source: its text.
        place: what it is called, too.
        known: names that are defined; None if that can't be told.
    """
    try:
        template = compile_template(source, name=place)
    except TemplateError as error:
        return [error.fault(place)]
    return [] if known is None else unknown_names(template, known, place)


def _look_up(names: Mapping[str, Any], name: str | None, column: str | None) -> str:
    if name is None:
        return column or ""
    value = names[name] if column is None else names[name][column]
    if value is None:
        raise NullError(look_up(name, column))
    if isinstance(value, bytes):
        raise NoTextError(value)
    return str(value)


def look_up(name: str, column: str | None) -> str:
    """Return the expression that looks up a name or a column."""
    if column is None:
        return name
    return f"{name}.{column}" if column.isidentifier() else f"{name}[{column!r}]"


def _nearest(env: Sandbox, problem: str) -> str:
    """Return the nearest filter or test where the problem is that one is unknown."""
    unknown = re.match(r"No (filter|test) named '(.+)'", problem)
    if unknown is None:
        return ""
    known = env.filters if unknown[1] == "filter" else env.tests
    near = get_close_matches(unknown[2], list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _place(error: BaseException, name: str) -> str:
    """Return ``name:line`` of the innermost template frame that the error came through."""
    place, trace = name, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            place = f"{template.name}:{template.get_corresponding_lineno(trace.tb_lineno)}"
        trace = trace.tb_next
    return place


def reason(error: BaseException) -> str:
    """Say on one line why a template failed on a row."""
    text = " ".join(str(error).split())
    return text if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {text}"
