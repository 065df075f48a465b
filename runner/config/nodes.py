"""Reads YAML as its authors mean it: scalars of YAML 1.2, each key once, and no more than anybody means."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, TypeAlias

import yaml

from runner.config.limits import MOST_DEPTH, MOST_TEXT, MOST_VALUES, too_deep, too_long, too_many
from runner.errors import ConfigError, Fault
from runner.values import Json

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

Key: TypeAlias = tuple[str | int, ...]
"""Where a value stands: names of maps and indices of lists, outermost first."""

_Pairs: TypeAlias = dict[str, tuple[yaml.Node, yaml.Node]]

_SHOWN = 60
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


class Loader(_Base):
    """PyYAML's safe loader with YAML 1.2's reading of plain scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


for _name, _pattern, _first in _SCALARS:
    _letters = [letter.strip("\0") for letter in _first]
    Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _letters)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


Loader.add_constructor(_TAG + "int", _integer)
Loader.add_constructor(_TAG + "float", _number)


def require_size(text: str, label: str) -> None:
    """Refuse a file of more values, or nested deeper, than any that is meant; only a large one is looked at.

    Raises:
        ConfigError: names the limit.
    """
    if sum(map(text.count, _OPENERS)) <= MOST_DEPTH:
        return
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            count += isinstance(event, yaml.NodeEvent)
            if depth > MOST_DEPTH:
                raise ConfigError([too_deep(label, event)])
            if count > 2 * MOST_VALUES:  # a key and its value
                raise ConfigError([too_many(label, event)])
    except yaml.YAMLError:
        return  # whoever reads it says so


_OPENERS = ("[", "{", "-", "?", ":")
"""What a list or a map begins with."""


class Builder:
    """Builds plain values from YAML nodes; gathers line numbers and faults on the way."""

    def __init__(self, loader: Any, label: str) -> None:
        self.lines: dict[Key, int] = {}
        self.faults: list[Fault] = []
        self._loader = loader
        self._label = label
        self._open: list[int] = []
        self._count = 0
        self._length = 0
        self._known: dict[int, _Pairs] = {}
        self._merging: list[int] = []

    def value(self, node: yaml.Node, path: Key) -> Json:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._fault(node, path, "an alias (*) that contains itself")
            return None
        if len(self._open) > MOST_DEPTH:
            raise ConfigError([too_deep(self._label, node)])
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._map(node, path)
            self._grow(len(node.value), node)
            return [self._item(item, (*path, str(index))) for index, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, path: Key) -> Json:
        self._length += len(node.value)
        if self._length > MOST_TEXT:
            raise ConfigError([too_long(self._label, node)])
        shown = node.value if len(node.value) <= _SHOWN else f"{node.value[:_SHOWN]}..."
        try:
            value = self._loader.construct_object(node)
        except ValueError:
            self._fault(node, path, f"{shown} can't be read as {node.tag.removeprefix(_TAG)}")
            return None
        if value is not None and not isinstance(value, str | int | float):
            kind = node.tag.removeprefix(_TAG)
            self._fault(node, path, f"{shown} is tagged as {kind}; expected text, a number, a list or a map")
            return None
        return value

    def _grow(self, count: int, node: yaml.Node) -> None:
        """Count values, so that aliases of aliases don't grow beyond all bounds.

        Raises:
            ConfigError: there are more than `MOST_VALUES`.
        """
        self._count += count
        if self._count > MOST_VALUES:
            raise ConfigError([too_many(self._label, node)])

    def _item(self, node: yaml.Node, path: Key) -> Json:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _map(self, node: yaml.MappingNode, path: Key) -> dict[str, Json]:
        self._refuse_duplicates(node, path)
        built: dict[str, Json] = {}
        for key, (key_node, value_node) in self._pairs(node, path).items():
            self.lines[*path, key] = key_node.start_mark.line + 1
            built[key] = self.value(value_node, (*path, key))
        return built

    def _pairs(self, node: yaml.MappingNode, path: Key) -> _Pairs:
        """Return what a map holds: its own keys over what it merges (``<<``), of which the first counts."""
        own: _Pairs = {}
        sources: list[_Pairs] = []
        for key_node, value_node in node.value:
            if key_node.tag != _TAG + "merge":
                own[self._name(key_node, path)] = (key_node, value_node)
                continue
            for one in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                sources.append(self._merged(one, path))
                self._grow(len(sources[-1]), node)
        pairs: _Pairs = {}
        for source in (*reversed(sources), own):
            pairs |= source
        self._grow(len(pairs), node)
        return pairs

    def _merged(self, node: yaml.Node, path: Key) -> _Pairs:
        """Return what a merged map holds; each is read once."""
        if not isinstance(node, yaml.MappingNode) or id(node) in self._merging:
            self._fault(node, path, "<< merges maps, and none that contains itself")
            return {}
        if id(node) not in self._known:
            self._merging.append(id(node))
            self._known[id(node)] = self._pairs(node, path)
            self._merging.pop()
        return self._known[id(node)]

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


def dotted(path: Key) -> str:
    """Return *path* as users write it."""
    return ".".join(str(part) for part in path)
