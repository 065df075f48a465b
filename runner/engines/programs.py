"""Programs that settings name: a path, or a name on PATH."""

from __future__ import annotations

import shutil
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from runner.errors import UserError
from runner.files import expanded, unreachable


def _at_home(name: str) -> str:
    try:
        path = expanded(name)
    except UserError as error:
        raise ValueError(str(error)) from None
    if why := unreachable(path):
        raise ValueError(why)
    return str(path) if name.startswith("~") else name


Program: TypeAlias = Annotated[str, AfterValidator(_at_home)]
"""A path, in which ``~`` is a home folder, or a name on PATH."""


def program(name: str) -> str | None:
    """Return where a program lies, or None if there is none."""
    try:
        return shutil.which(_at_home(name))
    except ValueError:
        return None
