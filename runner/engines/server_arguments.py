"""Command lines of servers: flags that the job sets, and those of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from runner.engines.base import flag_name

Flag: TypeAlias = bool | int | float | str
FLAG_NAME = r"^[A-Za-z][A-Za-z0-9_.-]*$"


class Arguments(Protocol):
    """Settings that an engine's command line is made of, whether a process or this one runs it."""

    @property
    def args(self) -> Mapping[str, Flag | tuple[Flag, ...]]: ...

    @property
    def device(self) -> Literal["cuda", "cpu"]: ...

    @property
    def generation_config(self) -> Literal["neutral", "model"]: ...


def flags(args: Mapping[str, Flag | Sequence[Flag]]) -> list[str]:
    """Return arguments as a command line: true is a bare flag, false none, a list repeats the flag.

    A map's flag of one letter gets one dash, every other two.
    """
    words = []
    for name, value in args.items():
        bare = name.lstrip("-")
        flag = f"{'-' if len(bare) == 1 else '--'}{bare}"
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is True:
                words.append(flag)
            elif one is not False:
                words += [flag, str(one)]
    return words


def unless_given(own: Mapping[str, Flag], settings: Arguments) -> dict[str, Flag]:
    """Return those of the job's *own* flags that the user doesn't give."""
    given = {flag_name(name) for name in settings.args}
    return {name: value for name, value in own.items() if name not in given}


def given(own: Mapping[str, Flag | None]) -> dict[str, Flag]:
    """Return the flags that have a value."""
    return {name: value for name, value in own.items() if value is not None}
