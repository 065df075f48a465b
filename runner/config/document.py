"""Reads YAML as its authors mean it, and remembers on which line each key stands.

Scalars follow YAML 1.2: ``Yes`` and ``off`` are text, ``4:00:00`` is text, ``1e-3`` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import yaml

from runner.config.nodes import Builder, Key, Loader, dotted, require_size
from runner.errors import ConfigError, Fault
from runner.files import read_regular
from runner.values import Json

__all__ = [
    "COMMAND_LINE",
    "Document",
    "Key",
    "Origin",
    "Trail",
    "as_text",
    "dotted",
    "read_document",
    "written_at",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where values were written: a file with the line of each key, or the command line.

    Attributes:
        label: the file as messages show it, ``command line``, or which part of a command gives them.
        lines: line of each key, indices as text; empty for what is no file.
        prefix: where in the file the value stands that this is the origin of.
        in_command: whether a command gives the values.
    """

    label: str
    lines: Mapping[Key, int] = field(default_factory=dict)
    prefix: Key = ()
    in_command: bool = False

    def under(self, *parts: str | int) -> Origin:
        """Return the origin of what stands below this value."""
        return replace(self, prefix=(*self.prefix, *parts))

    def depth(self, path: Key) -> int:
        """Tell how many parts of *path*, below this value, are written there; -1 for not even itself."""
        full = as_text((*self.prefix, *path))
        known = next((size for size in range(len(full), -1, -1) if full[:size] in self.lines), -1)
        return known - len(self.prefix) if known >= len(self.prefix) else -1

    def at(self, path: Key = ()) -> str:
        """Return ``file:line`` of the key at *path* below this value, or of the nearest above it."""
        full = as_text((*self.prefix, *path))
        line = next((self.lines[full[:n]] for n in range(len(full), 0, -1) if full[:n] in self.lines), None)
        return self.label if line is None else f"{self.label}:{line}"


COMMAND_LINE = Origin("command line", in_command=True)

Trail: TypeAlias = Sequence[tuple[Key, Origin]]
"""Where the parts of a config were written, later ones on top."""


def written_at(trail: Trail, place: Key) -> str:
    """Return where the value at *place* was written, or empty where nobody wrote it."""
    best: tuple[int, Origin, Key] | None = None
    place = as_text(place)
    for path, origin in ((as_text(path), origin) for path, origin in trail):
        if place[: len(path)] == path:
            rest = place[len(path) :]
            depth = len(path) + max(origin.depth(rest), 0)
            if best is None or depth >= best[0]:
                best = (depth, origin, rest)
        elif path[: len(place)] == place:
            best = (len(place), origin, ())
    return best[1].at(best[2]) if best else ""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: a map, and where its keys stand."""

    path: Path
    data: dict[str, Json]
    origin: Origin
    text: str = ""


def read_document(path: Path, label: str) -> Document:
    """Read a YAML file that holds a map.

    Raises:
        ConfigError: not readable, not UTF-8, not YAML, a key twice, or no map.
    """
    text = _text(path, label)
    require_size(text, label)
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        builder = Builder(loader, label)
        data = {} if node is None else builder.value(node, ())
    except yaml.YAMLError as error:
        raise ConfigError([_yaml_fault(error, label, text)]) from None
    finally:
        loader.dispose()
    if data is None:
        data = {}
    if not isinstance(data, dict):
        builder.faults.append(Fault(label, f"a map of keys is expected, not {_kind(data)}"))
    if builder.faults:
        raise ConfigError(builder.faults)
    return Document(path, data, Origin(label, builder.lines), text)


def _text(path: Path, label: str) -> str:
    try:
        raw = read_regular(path)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8: byte 0x{raw[error.start]:02x} can't be read"
        raise ConfigError([Fault(label, problem, "save the file as UTF-8", f"{label}:{line}")]) from None
    except OSError as error:
        raise ConfigError([Fault(label, f"can't be read: {error.strerror}")]) from None


def as_text(path: Key) -> Key:
    """Return *path* with its indices as text, as they are in a dotted key."""
    return tuple(map(str, path))


def _yaml_fault(error: Exception, label: str, text: str) -> Fault:
    begin, end = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    # Of what is never closed the beginning is wrong, not the end of the file.
    mark = begin if begin is not None and any(word in problem for word in _UNCLOSED) else end or begin
    if mark is None:
        return Fault(label, f"not valid YAML: {problem}")
    lines = text.splitlines() or [""]
    at = min(mark.line, len(lines) - 1)
    return Fault(label, f"not valid YAML: {problem}", _yaml_hint(problem, lines, at), f"{label}:{at + 1}")


_UNCLOSED = {
    "end of stream": "the quote that opens in this line is never closed",
    "',' or ']'": "the [ that opens in this line is never closed, or a comma is missing after it",
    "',' or '}'": "the { that opens in this line is never closed, or a comma is missing after it",
}

_MISTAKES = {
    "another document": "one file holds one experiment: remove the line ---",
    "escape character": "a backslash in double quotes begins an escape: use single quotes, such as '\\d+'",
}


def _yaml_hint(problem: str, lines: Sequence[str], at: int) -> str:
    line = lines[at]
    if line[: _indent(line)].count("\t"):
        return "indent with spaces: YAML takes no tabs"
    known = next((hint for words, hint in (_UNCLOSED | _MISTAKES).items() if words in problem), "")
    if not known and "mapping values" in problem and at:
        known = _misplaced(lines[at - 1], line, at)
    return known or 'quote text that holds any of : # { } [ ] & * ! | > % @, such as "{{ row.question }}"'


def _misplaced(above: str, line: str, number: int) -> str:
    """Say what of two lines makes a key where none can be; *number* is that of the upper one, from 1."""
    if not above.strip() or above.lstrip().startswith("#"):
        return ""
    if not re.search(r":(\s|$)", above):
        return f"line {number} is not KEY: VALUE; a space must follow the colon"
    if _indent(line) > _indent(above) and not above.rstrip().endswith(":"):
        return (
            f"line {number + 1} is indented more than line {number}; keys of one map begin in the same column"
        )
    return ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _kind(value: Json) -> str:
    if isinstance(value, list):
        return "a list"
    return "text" if isinstance(value, str) else "a single value"
