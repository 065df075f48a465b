"""Reads YAML as its authors mean it, and remembers on which line each key stands.

Scalars follow YAML 1.2: ``Yes`` and ``off`` are text, ``4:00:00`` is text, ``1e-3`` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from runner.errors import ConfigError, Fault
from runner.files import read_regular
from runner.values import Json

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

Key: TypeAlias = tuple[str | int, ...]
"""Where a value stands: names of maps and indices of lists, outermost first."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)


class _Loader(_Base):
    """PyYAML's safe loader with YAML 1.2's reading of plain scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


for _name, _pattern, _first in _SCALARS:
    _letters = [letter.strip("\0") for letter in _first]
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _letters)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor(_TAG + "int", _integer)
_Loader.add_constructor(_TAG + "float", _number)


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
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        builder = _Builder(loader, label)
        data = {} if node is None else builder.value(node, ())
    except (yaml.YAMLError, ValueError) as error:
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


class _Builder:
    """Builds plain values from YAML nodes; gathers line numbers and faults on the way."""

    def __init__(self, loader: Any, label: str) -> None:
        self.lines: dict[Key, int] = {}
        self.faults: list[Fault] = []
        self._loader = loader
        self._label = label
        self._open: list[int] = []

    def value(self, node: yaml.Node, path: Key) -> Json:
        if isinstance(node, yaml.ScalarNode):
            return self._loader.construct_object(node)
        if id(node) in self._open:
            self._fault(node, path, "an alias (*) that contains itself")
            return None
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._map(node, path)
            return [self._item(item, (*path, str(index))) for index, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _item(self, node: yaml.Node, path: Key) -> Json:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _map(self, node: yaml.MappingNode, path: Key) -> dict[str, Json]:
        self._refuse_duplicates(node, path)
        self._loader.flatten_mapping(node)
        built: dict[str, Json] = {}
        for key_node, value_node in node.value:
            key = self._name(key_node, path)
            self.lines[*path, key] = key_node.start_mark.line + 1
            built[key] = self.value(value_node, (*path, key))
        return built

    def _name(self, node: yaml.Node, path: Key) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        hint = "quote text that holds braces, such as \"{{ row.question }}\" or '${name}'"
        self._fault(node, path, "a key must be text, not a list or a map", hint)
        return "?"

    def _refuse_duplicates(self, node: yaml.MappingNode, path: Key) -> None:
        first: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _TAG + "merge":
                continue
            line = key_node.start_mark.line + 1
            if key_node.value in first:
                was = first[key_node.value]
                self._fault(key_node, (*path, key_node.value), f"given twice, on lines {was} and {line}")
            first.setdefault(key_node.value, line)

    def _fault(self, node: yaml.Node, path: Key, problem: str, hint: str = "") -> None:
        where = f"{self._label}:{node.start_mark.line + 1}"
        self.faults.append(Fault(dotted(path) or self._label, problem, hint, where))


def as_text(path: Key) -> Key:
    """Return *path* with its indices as text, as they are in a dotted key."""
    return tuple(map(str, path))


def dotted(path: Key) -> str:
    """Return *path* as users write it."""
    return ".".join(str(part) for part in path)


def _yaml_fault(error: Exception, label: str, text: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return Fault(label, f"not valid YAML: {problem}")
    lines = text.splitlines() or [""]
    at = min(mark.line, len(lines) - 1)
    return Fault(label, f"not valid YAML: {problem}", _yaml_hint(problem, lines[at]), f"{label}:{at + 1}")


def _yaml_hint(problem: str, line: str) -> str:
    if line[: len(line) - len(line.lstrip())].count("\t"):
        return "indent with spaces: YAML takes no tabs"
    if "another document" in problem:
        return "one file holds one experiment: remove the line ---"
    return 'quote text that holds any of : # { } [ ] & * ! | > % @, such as "{{ row.question }}"'


def _kind(value: Json) -> str:
    if isinstance(value, list):
        return "a list"
    return "text" if isinstance(value, str) else "a single value"
