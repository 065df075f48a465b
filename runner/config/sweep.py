"""Axes of a sweep, from `sweep:` in a file and from -m on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from runner.config.deletions import nothing_there
from runner.config.document import COMMAND_LINE, Key, dotted
from runner.config.hydra_settings import PARAMS, HydraSettings
from runner.config.keys import GROUPS, SETTINGS, nearest
from runner.config.layers import DELETED, Given, Layer, split
from runner.config.limits import refuse_vast
from runner.config.overrides import Change, parse_overrides
from runner.config.values import brief, names_variables
from runner.errors import ConfigError, Fault
from runner.values import Json, canonical_json

Entry: TypeAlias = dict[str, Given]
"""What one value of an axis gives: dotted key -> value; several where keys are linked."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        layer: index of the layer that its values are given in.
    """

    label: str
    entries: tuple[Entry, ...]
    layer: int

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that the axis sets."""
        return tuple(dict.fromkeys(key for entry in self.entries for key in entry))


@dataclass(frozen=True, slots=True)
class FileAxes:
    """What `sweep:` declares.

    Attributes:
        sound: the axes that can be swept.
        faults: what is wrong with the others, or with the sweep as a whole.
        unknown: keys that those would have given.
    """

    sound: list[Axis]
    faults: list[Fault]
    unknown: frozenset[Key]

    def explains(self, fault: Fault) -> bool:
        """Tell whether a fault of the rest may be there for want of what a faulty axis would have given."""
        place = split(fault.place)
        return any(place[: len(key)] == key[: len(place)] for key in self.unknown)


def file_axes(layers: Sequence[Layer]) -> FileAxes:
    """Return the axes that `sweep:` declares; the topmost layer that gives it counts."""
    start = max((i for i, layer in enumerate(layers) if "sweep" in layer.whole), default=0)
    given: dict[str, tuple[Given, int]] = {}
    whole = layers[start].whole.get("sweep")
    faults: list[Fault] = []
    if whole is not None and isinstance(whole.value, dict):
        given = {k: (Given(v, whole.origin.under(k)), start) for k, v in whole.value.items()}
    elif whole is not None and whole.value is DELETED:
        if not any(_gives_sweep(layer) for layer in layers[:start]):
            faults.append(nothing_there(("sweep",), {}))
    elif whole is not None and whole.value is not None:
        faults.append(Fault("sweep", "expected a map of keys to lists", _EXAMPLE, whole.origin.at()))
    for index, layer in enumerate(layers[start:], start):
        parts = [(dotted(path[1:]), one) for path, one in layer.parts if path[0] == "sweep"]
        axes_below = {"sweep": dict.fromkeys(given)}
        faults += [
            nothing_there(("sweep", key), axes_below)
            for key, one in parts
            if one.value is DELETED and key not in given
        ]
        given |= {key: (one, index) for key, one in parts}
    unknown = set() if whole is None or isinstance(whole.value, dict) else set(_named(whole.value))
    return _sorted_out(given, faults, unknown)


def _sorted_out(given: Mapping[str, tuple[Given, int]], faults: list[Fault], unknown: set[Key]) -> FileAxes:
    """Return what is *given* for each key, with its layer's index; adds to *faults* and *unknown*."""
    axes: list[Axis] = []
    for key, (one, index) in given.items():
        known = len(faults)
        axis = _file_axis(key, one, index, faults)
        if len(faults) > known:
            unknown |= {split(key), *_named(one.value)}
        elif axis is not None:
            axes.append(axis)
    return FileAxes(axes, faults, frozenset(unknown))


def _named(value: Json) -> Iterator[Key]:
    """Yield the keys of the maps in what is no axis."""
    if isinstance(value, dict):
        yield from map(split, value)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item)


_EXAMPLE = "such as sweep: {sampling.temperature: [0, 1]}"


def _gives_sweep(layer: Layer) -> bool:
    return "sweep" in layer.whole or any(path[0] == "sweep" for path, _ in layer.parts)


def _file_axis(key: str, given: Given, layer: int, faults: list[Fault]) -> Axis | None:
    value, origin = given.value, given.origin
    place = f"sweep.{key}"
    if value is None or value is DELETED:
        return None
    if not isinstance(value, list) or not value:
        shown = brief(value, split(key))
        problem = "an empty list" if value == [] else f"{shown} given, expected a list of values"
        faults.append(Fault(place, problem, _EXAMPLE, origin.at()))
        return None
    head = key.split(".", maxsplit=1)[0]
    linked = head not in GROUPS and all(isinstance(item, dict) for item in value)
    if linked:
        entries = tuple(
            {k: Given(v, origin.under(i, k), swept=True) for k, v in item.items()}
            for i, item in enumerate(value)
        )
    else:
        entries = tuple({key: Given(item, origin.under(i), swept=True)} for i, item in enumerate(value))
    axis = Axis(key, entries, layer)
    for name in axis.keys:
        faults += _unsweepable(name, place, origin.at())
    return axis


def _unsweepable(key: str, place: str, source: str) -> list[Fault]:
    known = (*GROUPS, *SETTINGS)
    head = key.split(".", maxsplit=1)[0]
    if head in known:
        return []
    return [Fault(place, f"{key} is not a key that can be swept", nearest(head, known), source)]


def sweeper_axes(settings: HydraSettings, options: Callable[[str], list[str]], layer: int) -> list[Axis]:
    """Return the axes that `hydra.sweeper.params` declares, as if given in a file's `sweep:`.

    Raises:
        ConfigError: what can't be read or swept, all of it.
    """
    axes: list[Axis] = []
    faults: list[Fault] = []
    for key, given in settings.params.items():
        place, source = f"{PARAMS}.{key}", given.origin.at()
        text = given.value if isinstance(given.value, str) else canonical_json(given.value).decode()
        try:
            (change,) = parse_overrides([f"{key}={text}"], options)
        except ConfigError as error:
            faults += [replace(fault, place=place, source=source) for fault in error.faults]
            continue
        name = dotted(change.key)
        faults += _unsweepable(name, place, source)
        entries = ({name: Given(one, given.origin, change.group, swept=True)} for one in change.values)
        axes.append(Axis(name, tuple(entries), layer))
    if faults:
        raise ConfigError(faults)
    return axes


def both_ways(axes: Sequence[Axis], params: Sequence[Axis]) -> list[Fault]:
    """Find keys that `sweep:` varies and `hydra.sweeper.params` too."""
    swept = {key for axis in axes for key in axis.keys}
    return [
        Fault(f"{PARAMS}.{axis.label}", "`sweep:` varies it too", "leave one of them out", source)
        for axis in params
        if axis.label in swept
        for source in [axis.entries[0][axis.label].origin.at()]
    ]


def command_axes(changes: Sequence[Change], layer: int) -> list[Axis]:
    """Return the axes that a command gives.

    Raises:
        ConfigError: a key that is swept and given a second time.
    """
    by_key: dict[str, list[Change]] = {}
    for change in changes:
        by_key.setdefault(dotted(change.key), []).append(change)
    faults = [
        Fault(key, "given twice, and one is a sweep", "", _givers(given))
        for key, given in by_key.items()
        if len(given) > 1 and any(change.sweep for change in given)
    ]
    if faults:
        raise ConfigError(faults)
    return [
        Axis(
            dotted(change.key),
            tuple({dotted(change.key): Given(value, change.origin, change.group)} for value in change.values),
            layer,
        )
        for change in changes
        if change.sweep
    ]


def _givers(changes: Sequence[Change]) -> str:
    return ", ".join(dict.fromkeys(change.origin.label for change in changes))


def refuse_commas(changes: Sequence[Change]) -> None:
    """Refuse sweeps where none was asked for.

    Raises:
        ConfigError: for each override that would be an axis.
    """
    faults = []
    for change in changes:
        if change.sweep:
            key, _, text = change.line.partition("=")
            hint = f"for a sweep add -m; for a list write {key}=[{text}]; for text write {key}='\"{text}\"'"
            if not change.comma or names_variables(change.key):
                hint = "add -m"
            shown = "what was given" if names_variables(change.key) else text
            problem = f"{shown} is a sweep, and -m was not given"
            faults.append(Fault(dotted(change.key), problem, hint, COMMAND_LINE.label))
    if faults:
        raise ConfigError(faults)


def free_axes(axes: Sequence[Axis], layers: Sequence[Layer]) -> tuple[list[Axis], list[str]]:
    """Leave out what a later layer, or a later axis, fixes; say so in notes."""
    kept: list[Axis] = []
    notes: list[str] = []
    for axis in axes:
        fixers = {key: who for key in axis.keys if (who := _fixed_by(key, axis.layer, layers, axes))}
        notes += [f"{key}: {who} fixes what the sweep varied" for key, who in fixers.items()]
        entries = [{k: v for k, v in entry.items() if k not in fixers} for entry in axis.entries]
        if not fixers:
            kept.append(axis)
        elif any(entries):
            kept.append(replace(axis, entries=_distinct(entries)))
    return kept, notes


def _distinct(entries: list[Entry]) -> tuple[Entry, ...]:
    seen: dict[str, Entry] = {}
    for entry in entries:
        seen.setdefault(repr({k: v.value for k, v in entry.items()}), entry)
    return tuple(seen.values())


def _fixed_by(key: str, layer: int, layers: Sequence[Layer], axes: Sequence[Axis]) -> str:
    path = split(key)
    for later in layers[layer + 1 :]:
        if path[0] in later.whole:
            return later.whole[str(path[0])].origin.at()
        for part, given in later.parts:
            if path[: len(part)] == part:
                return given.origin.at()
    for axis in axes:
        if axis.layer > layer and any(path[: len(split(k))] == split(k) for k in axis.keys):
            return f"the axis {axis.label}"
    return ""


def combinations(axes: Sequence[Axis]) -> Iterator[tuple[tuple[Axis, Entry], ...]]:
    """Yield every combination of values; the first axis is the slowest.

    Raises:
        ConfigError: there are too many.
    """
    refuse_vast({axis.label: len(axis.entries) for axis in axes})
    yield from product(*[[(axis, entry) for entry in axis.entries] for axis in axes])
