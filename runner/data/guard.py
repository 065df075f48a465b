"""Secret values in a dataset's rows: a long one is refused, a short one reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from runner.data.table import bad_record
from runner.notices import warn
from runner.secrets import UNMISTAKABLE, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.errors import UserError

_BETWEEN = "\x1f"
"""Between the cells of a row, and in no form of a secret."""


class RowGuard:
    """Looks for secret values in rows; a row without any costs about a microsecond per kilobyte."""

    def __init__(self, secrets: Secrets) -> None:
        long = {name: value for name, value in secrets.values.items() if len(value) >= UNMISTAKABLE}
        self._long = Secrets(long)
        self._long_masker = self._long.masker
        self._short = {name: value for name, value in secrets.values.items() if name not in long}
        # As rows have them: to look for other forms of what is short would cost more than to read it.
        self._plain = [
            (name, form)
            for name, value in secrets.values.items()
            if name not in long
            for form in {value.encode(errors="surrogateescape"), json.dumps(value)[1:-1].encode()}
        ]
        self._met: dict[str, str] = {}
        self._more: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._long or self._short)

    def fault(self, path: Path, line: int, raw: Any, data: Mapping[str, Any]) -> UserError | None:
        """Return what is wrong with a row that holds a long secret; note it of one that holds a short one.

        Args:
            path: the dataset's file.
            line: the row's line in it.
            raw: the row as it was read.
            data: its columns.
        """
        text = raw if isinstance(raw, bytes) else _bytes(raw, data)
        for name, form in self._plain:
            if form in text:
                self._note(f"{path}:{line}", name, data)
        if not self._long_masker.suspects(text) or not self._long_masker.spans(text):
            return None
        found = [Secrets({name: secret}) for name, secret in self._long.values.items()]
        one = next(one for one in found if one.masker.spans(text))
        column, name = self._long.mask(_column(data, one)), next(iter(one.values))
        return bad_record(
            path, line, f"{column} holds the value of {name}, which must not be written to disk: remove it"
        )

    def _note(self, place: str, name: str, data: Mapping[str, Any]) -> None:
        if name in self._met:
            self._more.add(name)
        else:
            secret = Secrets({name: self._short[name]})
            self._met[name] = f"{place}: {secret.mask(_column(data, secret))}"

    def report(self) -> None:
        """Warn of short values in rows, once each."""
        for name, place in self._met.items():
            more = "; so do other rows" if name in self._more else ""
            warn(
                f"{place} holds the value of {name}{more}: it is sent as it is, and masked in what is "
                f"written (from {UNMISTAKABLE} characters on it would be refused)"
            )


def _bytes(raw: Any, data: Mapping[str, Any]) -> bytes:
    if isinstance(raw, list):
        return _BETWEEN.join(raw).encode()
    return msgspec.json.encode(data, enc_hook=repr)


def _column(data: Mapping[str, Any], secret: Secrets) -> str:
    """Say which column holds a value."""
    for path, text in _texts(data, ""):
        if secret.masker.spans(text.encode("utf-8", "surrogatepass")):
            return f"column {path!r}"
    return "the row"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a value with the way to it: names of keys too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.{key}" if path else str(key)
            yield below, str(key)
            yield from _texts(inner, below)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{number}]")
    elif isinstance(value, bytes):
        yield path, value.decode("latin-1")
        yield path, value.decode("utf-8", "replace")
    elif value is not None:
        yield path, str(value)
