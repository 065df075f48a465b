"""Lays the layers of one point over each other: a choice replaces, a key overlays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.config.choices import Chooser, Chosen
from runner.config.deletions import given_by, nothing_there, other_value, there
from runner.config.document import Key, Origin, dotted, written_at
from runner.config.engine_kept import engine_kept
from runner.config.interpolation import resolved_text, unresolved
from runner.config.keys import BROUGHT, GROUPS
from runner.config.layers import DELETED, Given, Layer
from runner.config.values import brief
from runner.errors import ConfigError, Fault
from runner.values import Json


@dataclass(frozen=True, slots=True)
class Deletion:
    """What ``~key`` deletes.

    Attributes:
        only: the value that must stand there; None for any.
        found: whether the experiment gives it.
    """

    path: Key
    only: Json
    found: bool


@dataclass(slots=True)
class Raw:
    """One point before it is validated.

    Attributes:
        trail: where the parts of the config were written, later ones on top.
        notes: what was replaced by what.
        faults: what is wrong so far.
        winners: top-level key -> the whole value that won, and the index of its layer.
        failed: top-level keys that could not be laid at all.
        deletions: those of keys that a model may bring too, and those that found nothing.
        replaced: top-level key -> the whole value that the winner replaces.
    """

    config: dict[str, Json] = field(default_factory=dict)
    trail: list[tuple[Key, Origin]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    winners: dict[str, tuple[int, Given]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    deletions: list[Deletion] = field(default_factory=list)
    replaced: dict[str, Given] = field(default_factory=dict)

    def source(self, place: Key) -> str:
        """Return where the value at *place* was written, or empty where nobody wrote it."""
        return written_at(self.trail, place)


def assemble(layers: Sequence[Layer], chooser: Chooser, swept: Collection[Key] = ()) -> Raw:
    """Return the config that *layers*, lowest first, come to.

    Args:
        layers: what each gives.
        chooser: expands the choices.
        swept: what axes give that stand in no layer, as something fixed them; it may be deleted.
    """
    raw = Raw()
    context = {key: given.value for layer in layers for key, given in layer.whole.items()}
    kept = engine_kept(layers, lambda key, given: _chosen_map(key, given, chooser, context))
    layers = kept.layers
    raw.notes += kept.notes
    keys = dict.fromkeys(
        key for layer in layers for key in (*layer.whole, *(str(path[0]) for path, _ in layer.parts))
    )
    for key in keys:
        if key != "sweep":
            try:
                _assemble_key(raw, key, layers, chooser, context)
            except ConfigError as error:
                raw.faults.extend(error.faults)
                raw.failed.add(key)
    gone = {*swept, *kept.dropped}
    raw.deletions = [one for one in raw.deletions if one.found or not given_by(gone, one.path)]
    others = [one for one in raw.deletions if one.path[0] not in BROUGHT]
    raw.faults += [nothing_there(one.path, raw.config) for one in others if not one.found]
    return raw


def in_turn(parts: Sequence[tuple[Key, Given]]) -> list[tuple[Key, Given]]:
    """Return *parts* as they are laid, whatever order they were typed in.

    A key comes before those below it; items are taken out of lists at the end, the last first, as an index is
    that of the list as it was.
    """
    return sorted(parts, key=lambda part: turn(part[0], deletes=part[1].value is DELETED))


def turn(path: Key, *, deletes: bool) -> tuple[int, int, int]:
    """Return when what is given at *path* is laid, among the others of a layer."""
    if deletes and str(path[-1]).isdecimal():
        return (1, -len(path), -int(path[-1]))
    return (0, len(path), 0)


def _assemble_key(
    raw: Raw, key: str, layers: Sequence[Layer], chooser: Chooser, context: dict[str, Json]
) -> None:
    start = max((i for i, layer in enumerate(layers) if key in layer.whole), default=0)
    whole = layers[start].whole.get(key)
    value: Json = None
    if whole is not None and whole.value is not None and whole.value is not DELETED:
        chosen = _chosen(key, whole, chooser, context)
        value = chosen.value if isinstance(chosen, Chosen) else chosen
        trail = chosen.trail if isinstance(chosen, Chosen) else (((), whole.origin),)
        raw.trail += [((key, *path), origin) for path, origin in trail]
    if whole is not None:
        raw.winners[key] = (start, whole)
        _note_replaced(raw, key, layers[start], layers[:start])
        if whole.value is DELETED:
            _check_deleted(raw, key, whole, layers[:start])
    for layer in layers[start:]:
        for path, given in in_turn([part for part in layer.parts if part[0][0] == key]):
            value = _lay_part(raw, value, path, given, chooser)
    if value is not None:
        raw.config[key] = value


def _chosen(key: str, whole: Given, chooser: Chooser, context: dict[str, Json]) -> Chosen | Json:
    return _chosen_map(key, whole, chooser, context) if key in GROUPS else whole.value


def _chosen_map(key: str, whole: Given, chooser: Chooser, context: dict[str, Json]) -> Chosen:
    if isinstance(whole.value, str) and "${" in whole.value:
        return _chosen_by_interpolation(key, whole, chooser, context)
    return chooser.choose(key, whole)


def _chosen_by_interpolation(key: str, whole: Given, chooser: Chooser, context: dict[str, Json]) -> Chosen:
    """Choose by what the text comes to, and keep the text: what it comes to may be a secret."""
    text = resolved_text(key, whole.value, context, whole.origin.at())
    try:
        chosen = chooser.choose(key, Given(text, whole.origin, whole.group))
    except ConfigError as error:
        problem = f"{whole.value} comes to nothing that can be chosen here"
        # A hint that repeats the text would show what may be a secret.
        hints = ["" if str(text) in fault.hint else fault.hint for fault in error.faults]
        raise ConfigError([
            Fault(fault.place, problem, hint, fault.source)
            for fault, hint in zip(error.faults, hints, strict=True)
        ]) from None
    if any(origin is not whole.origin for _, origin in chosen.trail):
        return chosen
    return Chosen(unresolved(chosen.value, str(text), whole.value), chosen.trail)


def _check_deleted(raw: Raw, key: str, deletion: Given, below: Sequence[Layer]) -> None:
    given = next((layer.whole[key].value for layer in reversed(below) if key in layer.whole), DELETED)
    found = given is not DELETED or any(path[0] == key for layer in below for path, _ in layer.parts)
    if not found or key in BROUGHT:
        raw.deletions.append(Deletion((key,), deletion.only, found))
    if found and (fault := other_value((key,), given, deletion.only)):
        raw.faults.append(fault)


def _note_replaced(raw: Raw, key: str, layer: Layer, below: Sequence[Layer]) -> None:
    whole = layer.whole[key]
    replaced = next((layer.whole[key] for layer in reversed(below) if key in layer.whole), None)
    if lost := layer.replaced.get(key, replaced):
        raw.replaced[key] = lost
    if replaced is None or replaced.value is None or replaced.value == whole.value:
        return
    if not whole.origin.in_command:
        return  # what a file lays over the one that it extends is its own author's word
    new = "the default" if whole.value is None or whole.value is DELETED else brief(whole.value)
    raw.notes.append(
        f"{key}: {new} ({whole.origin.at()}) replaces {brief(replaced.value)} ({replaced.origin.at()})"
    )


def _lay_part(raw: Raw, base: Json, path: Key, given: Given, chooser: Chooser) -> Json:
    value = given.value
    if value is DELETED and not there(base, path[1:]):
        raw.deletions.append(Deletion(path, given.only, found=False))
        return base
    if value is DELETED and (fault := other_value(path, found_at(base, path[1:]), given.only)):
        raw.faults.append(fault)
        return base
    if value is DELETED and path[0] in BROUGHT:
        raw.deletions.append(Deletion(path, None, found=True))
    if path[0] == "scorers" and len(path) == 2 and isinstance(value, str):  # noqa: PLR2004 - scorers.NAME
        chosen = chooser.scorer(str(path[1]), given)
        value = chosen.value
        raw.trail += [((*path, *rest), origin) for rest, origin in chosen.trail]
    else:
        raw.trail.append((path, given.origin))
    if path[0] == "scorers" and len(path) == 2 and value is None:  # noqa: PLR2004 - scorers.NAME
        value = DELETED
    before = found_at(base, path[1:])
    if before is not None and before != value and given.origin.in_command:
        new = "the default" if value is DELETED else brief(value, path)
        where = raw_source(raw, path)
        raw.notes.append(
            f"{dotted(path)}: {new} ({given.origin.label}) replaces {brief(before, path)}{where}"
        )
    return laid(base, path, 1, value, given.origin.at())


def raw_source(raw: Raw, path: Key) -> str:
    """Return ``(file:line)`` of what stood at *path* before its newest value, or nothing."""
    source = written_at(raw.trail[:-1], path)
    return f" ({source})" if source else ""


def found_at(base: Json, path: Key) -> Json:
    """Return what stands at *path* below *base*, or None."""
    for part in path:
        base = base.get(part) if isinstance(base, dict) else None
    return base


def laid(base: Json, path: Key, depth: int, value: Any, source: str) -> Json:
    """Return *base* with *value* at ``path[depth:]``; *base* is left as it is.

    Raises:
        ConfigError: something on the way is no map.
    """
    if depth == len(path):
        return value
    part = path[depth]
    if isinstance(base, list):
        return _laid_in_list(base, path, depth, value, source)
    if base is not None and not isinstance(base, dict):
        problem = f"{dotted(path[:depth])} is {brief(base, path)}, which has no keys"
        raise ConfigError([Fault(dotted(path), problem, "", source)])
    built = dict(base or {})
    if value is DELETED and depth == len(path) - 1:
        built.pop(part, None)
    else:
        built[str(part)] = laid(built.get(str(part)), path, depth + 1, value, source)
    return built


def _laid_in_list(base: list[Json], path: Key, depth: int, value: Any, source: str) -> list[Json]:
    part = str(path[depth])
    if not part.isdigit() or int(part) >= len(base):
        problem = f"{dotted(path[:depth])} is a list with items 0 to {len(base) - 1}, not {part}"
        raise ConfigError([Fault(dotted(path), problem, "", source)])
    built = list(base)
    if value is DELETED and depth == len(path) - 1:
        del built[int(part)]
    else:
        built[int(part)] = laid(built[int(part)], path, depth + 1, value, source)
    return built


def merged(under: Json, over: Json) -> Json:
    """Return *over* laid key by key over *under*; only maps are merged."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return {**under, **{key: merged(under.get(key), value) for key, value in over.items()}}
