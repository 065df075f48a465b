"""Keeps the values of secret environment variables out of everything that is written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runner.errors import ConfigError, Fault

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_SHORTEST = 6
_UNMISTAKABLE = 16
"""Characters of a value that stands nowhere by chance."""

MASK = "***"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secret values by the name of their variable; the values never show in a repr.

    A value of fewer than six characters counts for none: it is neither masked nor refused, since
    that would hit ordinary words and numbers.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    spellings: tuple[str, ...] = field(init=False, repr=False)
    """How the values may stand in a text: plain, or as JSON or Python quote them; longest first."""

    def __post_init__(self) -> None:
        found = {spelling for value in self.values.values() for spelling in _spellings(value)}
        object.__setattr__(self, "spellings", tuple(sorted(found, key=len, reverse=True)))

    @classmethod
    def of(cls, named: Iterable[str], read: Iterable[str] = ()) -> Secrets:
        """Collect the values of variables.

        Args:
            named: variables declared as secret (``api_key_env``, ``headers_env``).
            read: variables that the YAML reads; only those whose name says secret count.
        """
        names = {*named, *(name for name in read if _SECRET_NAME.search(name))}
        found = {name: os.environ.get(name, "") for name in sorted(names)}
        return cls({name: value for name, value in found.items() if len(value) >= _SHORTEST})

    @classmethod
    def not_to_be_typed(cls, named: Iterable[str], read: Iterable[str] = ()) -> Secrets:
        """Collect what `of` does, and long values of any variable whose name says secret."""
        others = [
            name
            for name, value in os.environ.items()
            if _SECRET_NAME.search(name) and len(value) >= _UNMISTAKABLE
        ]
        return cls.of([*named, *others], read)

    @classmethod
    def of_environment(cls, named: Iterable[str] = ()) -> Secrets:
        """Collect the values of *named* variables and of every one that is set and whose name says secret."""
        return cls.of(named, os.environ)

    def __bool__(self) -> bool:
        return bool(self.values)

    def mask(self, text: str) -> str:
        """Replace every secret value in *text*."""
        for spelling in self.spellings:
            text = text.replace(spelling, MASK)
        return text

    def mask_bytes(self, data: bytes) -> bytes:
        """Replace every secret value in *data*."""
        for spelling in self.spellings:
            encoded = spelling.encode()
            if encoded in data:
                data = data.replace(encoded, MASK.encode())
        return data

    def refuse(self, text: str, place: str) -> None:
        """Raise a `ConfigError` if *text* holds a secret value."""
        faults = [
            Fault(
                place,
                f"the value of {name} would be written into the run folder",
                "name the variable instead: engine.api_key_env or engine.headers_env",
            )
            for name, value in self.values.items()
            if any(spelling in text for spelling in _spellings(value))
        ]
        if faults:
            raise ConfigError(faults)


def _spellings(value: str) -> set[str]:
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
