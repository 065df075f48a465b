"""What of an experiment's engine outlives a model of another kind that a later layer gives.

With the same kind all of it does; with another only what every kind has. An address, a key or an argument
belongs to the engine that it was written for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from runner.config.document import Key
from runner.config.keys import DEFAULT_ENGINE
from runner.config.layers import DELETED, Given, Layer
from runner.config.values import brief
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError
from runner.values import Json

EVERY_KIND: Final = ("concurrency", "timeout", "max_attempts", "stream")
"""Settings of an engine that every kind has."""

Choose = Callable[[str, Given], Json]
"""Returns the value that a choice of a group stands for.

Raises:
    ConfigError: there is none.
"""


@dataclass(slots=True)
class EngineKept:
    """Layers without the engine settings that a model of another kind leaves behind.

    Attributes:
        layers: lowest first.
        notes: what was left behind.
        dropped: where that stood.
    """

    layers: list[Layer]
    notes: list[str] = field(default_factory=list)
    dropped: set[Key] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Rank:
    """One layer, or what the sweep of its file gives over it."""

    index: int
    swept: bool

    def holds(self, given: Given) -> bool:
        return given.swept is self.swept

    def __lt__(self, other: _Rank) -> bool:
        return (self.index, self.swept) < (other.index, other.swept)


def engine_kept(layers: Sequence[Layer], choose: Choose) -> EngineKept:
    """Return *layers* as a model's engine leaves them, from the lowest on."""
    kept = EngineKept(list(layers))
    if not any("engine" in layer.whole or any(_engine_parts(layer)) for layer in layers):
        return kept
    own = brought = before = None
    for rank in (_Rank(index, swept) for index in range(len(layers)) for swept in (False, True)):
        layer = layers[rank.index]
        changed, kind, model = _model_kind(layer, rank, choose)
        replaced, explicit = _own_kind(layer, rank, choose)
        if changed:
            after = explicit or kind or (None if replaced else own) or DEFAULT_ENGINE
            if before is not None and after != before and (kind is not None or explicit is None):
                _leave_behind(kept, rank, after, model, choose)
                own = None
            brought = kind or DEFAULT_ENGINE
        if replaced or explicit:
            own = explicit
        before = own or brought
    return kept


def _engine_parts(layer: Layer) -> Iterator[tuple[Key, Given]]:
    return ((path, given) for path, given in layer.parts if path[0] == "engine")


def _whole(layer: Layer, key: str, rank: _Rank) -> Given | None:
    """Return the whole value that a rank gives, be it one that a sweep of the same file replaces."""
    whole = layer.whole.get(key)
    if whole is not None and not rank.holds(whole):
        return layer.replaced.get(key) if whole.swept else None
    return whole


def _model_kind(layer: Layer, rank: _Rank, choose: Choose) -> tuple[bool, str | None, Given | None]:
    """Return whether a rank gives a model, or one's engine; the kind that it brings; and what gives it."""
    whole = _whole(layer, "model", rank)
    changed, kind, giver = False, None, None
    if whole is not None and whole.value is not None and whole.value is not DELETED:
        changed, giver = True, whole
        with suppress(ConfigError):
            value = choose("model", whole)
            engine = value.get("engine") if isinstance(value, dict) else None
            kind = _kind(Given(engine, whole.origin), choose) if engine is not None else None
    for path, given in layer.parts:
        if path[:2] == ("model", "engine") and rank.holds(given) and given.value is not DELETED:
            found = given.value if path[2:] == ("kind",) else None
            if len(path) == 2:  # noqa: PLR2004 - model.engine
                found = _kind(given, choose)
            if isinstance(found, str):
                changed, kind, giver = True, found, given
    return changed, kind, giver


def _own_kind(layer: Layer, rank: _Rank, choose: Choose) -> tuple[bool, str | None]:
    """Return whether a rank gives the experiment's whole engine, and the kind that it names."""
    whole = _whole(layer, "engine", rank)
    replaced = whole is not None
    kind = _kind(whole, choose) if whole is not None else None
    for path, given in _engine_parts(layer):
        if path[1:] == ("kind",) and rank.holds(given):
            kind = given.value if isinstance(given.value, str) else None
    return replaced, kind


def _kind(engine: Given, choose: Choose) -> str | None:
    """Return the kind of an engine that is given whole."""
    if engine.value is None or engine.value is DELETED:
        return None
    with suppress(ConfigError):
        value = choose("engine", engine)
        kind = value.get("kind") if isinstance(value, dict) else None
        return kind if isinstance(kind, str) else None
    return None


def _leave_behind(kept: EngineKept, rank: _Rank, kind: str, model: Given | None, choose: Choose) -> None:
    """Take what another kind than *kind* may not have out of what lies below *rank*."""
    known = engine_kinds()
    common = [name for name in EVERY_KIND if kind not in known or name in known[kind].settings.model_fields]
    lost: list[str] = []
    left: set[str] = set()
    for index, layer in enumerate(kept.layers[: rank.index + 1]):
        below = Layer(layer.whole, layer.parts, layer.replaced)
        whole = layer.whole.get("engine")
        if whole is not None and _Rank(index, whole.swept) < rank and whole.value not in (None, DELETED):
            filtered, gone = _filtered(whole, common, choose)
            below = replace(below, whole={**layer.whole, "engine": filtered})
            kept.dropped |= {("engine", name) for name in gone}
            lost += [f"{brief(whole.value)} ({whole.origin.at()})"] if gone else []
            left |= set(filtered.value) if isinstance(filtered.value, dict) else set()
        parts = []
        for path, given in layer.parts:
            if path[0] != "engine" or not _Rank(index, given.swept) < rank or path[1] in common:
                parts.append((path, given))
                left |= {str(path[1])} if path[0] == "engine" else set()
            else:
                kept.dropped.add(path)
                lost += [f"{'.'.join(map(str, path))} ({given.origin.at()})"]
        kept.layers[index] = replace(below, parts=tuple(parts))
    if lost and model is not None:
        rest = f"; kept: {', '.join(name for name in common if name in left)}" if left & set(common) else ""
        shown = brief(model.value)
        kept.notes.append(f"engine: {shown} ({model.origin.at()}) replaces {', '.join(lost)}{rest}")


def _filtered(whole: Given, common: Collection[str], choose: Choose) -> tuple[Given, list[str]]:
    """Return an engine's value with its *common* settings alone, and the names of the others."""
    try:
        value = choose("engine", whole)
    except ConfigError:
        value = None  # what names nothing has no settings
    settings = value if isinstance(value, dict) else {}
    gone = [name for name in settings if name not in common]
    kept = {name: inner for name, inner in settings.items() if name in common}
    return replace(whole, value=kept, group=""), gone
