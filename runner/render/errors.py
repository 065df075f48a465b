"""What is wrong with a template before any row is seen."""

from __future__ import annotations

from jinja2 import TemplateError as JinjaError

from runner.errors import Fault, UserError

__all__ = ["JinjaError", "TemplateError"]


class TemplateError(UserError):
    """Raised when a template can't be compiled.

    Attributes:
        name: the template's name, or that of the file it includes.
        line: line in that template, from 1.
        problem: what is wrong there.
        hint: the nearest known name, or what is known.
    """

    def __init__(self, name: str, line: int, problem: str, hint: str = "") -> None:
        self.name = name
        self.line = line
        self.problem = problem
        self.hint = hint
        super().__init__(f"template {name}:{line}: {problem}" + (f" ({hint})" if hint else ""))

    def fault(self, place: str) -> Fault:
        """Return this as the fault of the config key *place*."""
        return Fault(place, f"template {self.name}:{self.line}: {self.problem}", self.hint)
