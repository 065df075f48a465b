"""Paths on the command line: they start at the working folder, and only then at the project's root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.config.document import COMMAND_LINE
from runner.config.overrides import Change
from runner.config.reader import Reader
from runner.config.row_files import ROW_SUFFIXES
from runner.files import find
from runner.values import Json

_FIELDS: dict[str, frozenset[str]] = {
    "dataset": frozenset({"path"}),
    "model": frozenset({"name", "tokenizer", "chat_template", "adapter"}),
    "sampling": frozenset({"json_schema", "tools"}),
}
"""Keys by group whose text may be a path."""


def from_here(changes: Iterable[Change], reader: Reader) -> list[Change]:
    """Return *changes* with absolute paths for those that lead somewhere from the working folder."""
    here = Path.cwd()
    return [_changed(one, here, reader) if one.origin is COMMAND_LINE else one for one in changes]


def _changed(change: Change, here: Path, reader: Reader) -> Change:
    group, *rest = change.key
    if group not in _FIELDS or len(rest) > 1 or change.action == "delete":
        return change
    values = tuple(_value(group, rest[0] if rest else "", value, here, reader) for value in change.values)
    return change if values == change.values else replace(change, values=values)


def _value(group: str, field: str, value: Json, here: Path, reader: Reader) -> Json:
    if isinstance(value, dict) and not field:
        return {key: _value(group, key, inner, here, reader) for key, inner in value.items()}
    if not isinstance(value, str) or not (field in _FIELDS[group] or (not field and _is_path(group, value))):
        return value
    reader.typed.add(value)
    if Path(value).is_absolute() or here == reader.places.root:
        return value
    found: Any = find(value, [here])
    return value if found is None else str(found.absolute())


def _is_path(group: str, value: str) -> bool:
    """Tell whether the value of a whole group is a path, and not the name of an option."""
    if group == "dataset":
        return value.lower().endswith(ROW_SUFFIXES)
    return group == "model" and value.startswith(("./", "../"))
