"""Keeps the values of secret environment variables out of everything that is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from runner.errors import ConfigError, Fault
from runner.masking.forms import Masker
from runner.values import Json

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_SHORTEST = 6
UNMISTAKABLE = 16
"""Characters of a value that stands nowhere by chance."""

MASK = "***"


@dataclass(frozen=True)
class Secrets:
    """Secret values by the name of their variable; the values never show in a repr.

    They are found in whatever form a text has them in: plain, quoted or escaped as JSON, URLs, HTML,
    Python or a shell do it, in base64 or in hexadecimal. A value of fewer than six characters counts for
    none: it is neither masked nor refused, since that would hit ordinary words and numbers.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)

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
            if _SECRET_NAME.search(name) and len(value) >= UNMISTAKABLE
        ]
        return cls.of([*named, *others], read)

    @classmethod
    def of_environment(cls, named: Iterable[str] = ()) -> Secrets:
        """Collect the values of *named* variables and of every one that is set and whose name says secret."""
        return cls.of(named, os.environ)

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def plain(self) -> tuple[str, ...]:
        """The values, for whoever masks them in another process."""
        return tuple(dict.fromkeys(self.values.values()))

    @cached_property
    def masker(self) -> Masker:
        """Finds the values, in all forms."""
        return Masker(self.values.values())

    def mask(self, text: str) -> str:
        """Replace every secret value in *text*."""
        if not self.values:
            return text
        data = _bytes(text)
        masked = self.masker.mask(data)
        return text if masked is data else _text(masked)

    def mask_json(self, data: bytes) -> bytes:
        """Replace every secret value in the JSON *data*, which stays JSON: a number is left as it is."""
        masked = self.masker.mask(data)
        if masked is data:
            return data
        try:
            msgspec.json.decode(masked)
        except msgspec.DecodeError:  # the value stood in a number, or began in the middle of an escape
            return msgspec.json.encode(self._masked(msgspec.json.decode(data)))
        return masked

    def _masked(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {self.mask(key): self._masked(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._masked(inner) for inner in value]
        return self.mask(value) if isinstance(value, str) else value

    def found(self, text: str) -> list[str]:
        """Return the names of the variables whose values are in *text*."""
        data = _bytes(text)
        return [name for name, one in self._maskers.items() if one.spans(data)]

    @cached_property
    def _maskers(self) -> dict[str, Masker]:
        return {name: Masker([value]) for name, value in self.values.items()}

    def refuse(self, text: str, place: str) -> None:
        """Raise a `ConfigError` if *text* holds a secret value."""
        faults = [
            Fault(
                place,
                f"the value of {name} would be written into the run folder",
                "name the variable instead: engine.api_key_env or engine.headers_env",
            )
            for name in self.found(text)
        ]
        if faults:
            raise ConfigError(faults)


def _bytes(text: str) -> bytes:
    """Return a text as bytes; those of the environment that are not UTF-8 as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")
