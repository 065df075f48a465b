"""What of an experiment's engine outlives a model of another kind that a later layer gives.

With the same kind all of it does; with another only what every kind has. An address, a key or an argument
belongs to the engine that it was written for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from runner.config.choices import Chosen
from runner.config.document import Key, dotted
from runner.config.keys import DEFAULT_ENGINE
from runner.config.layers import DELETED, Given, Layer
from runner.config.values import brief
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError

EVERY_KIND: Final = ("concurrency", "timeout", "max_attempts", "stream")
"""Settings of an engine that every kind has."""

Choose = Callable[[str, Given], Chosen]
"""Returns the map that a choice of a group stands for.

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
            engine = choose("model", whole).value.get("engine")
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
        kind = choose("engine", engine).value.get("kind")
        return kind if isinstance(kind, str) else None
    return None


def _leave_behind(kept: EngineKept, rank: _Rank, kind: str, model: Given | None, choose: Choose) -> None:
    """Take what another kind than *kind* may not have out of what lies below *rank*."""
    known = engine_kinds()
    common = [name for name in EVERY_KIND if kind not in known or name in known[kind].settings.model_fields]
    wholes = [
        index
        for index, layer in enumerate(kept.layers[: rank.index + 1])
        if "engine" in layer.whole and _Rank(index, layer.whole["engine"].swept) < rank
    ]
    top = max(wholes, default=0)
    lost: list[str] = []
    left: set[str] = set()
    for index, layer in enumerate(kept.layers[: rank.index + 1]):
        settings = _settings(layer.whole["engine"], choose) if index in wholes else {}
        whole = {key: one for key, one in layer.whole.items() if key != "engine" or index not in wholes}
        given: list[tuple[Key, Given]] = [(("engine", name), one) for name, one in settings.items()]
        given += [(path, one) for path, one in _engine_parts(layer) if _Rank(index, one.swept) < rank]
        stay = [one for one in given if one[0][1] in common] if index >= top else []
        others = [one for one in layer.parts if one not in given]
        kept.layers[index] = Layer(whole, (*stay, *others), layer.replaced)
        gone = [] if index < top else [path for path, one in given if path[1] not in common]
        kept.dropped |= set(gone)
        left |= {str(path[1]) for path, _ in stay}
        if any(path[1] in settings for path in gone):
            one = layer.whole["engine"]
            lost.append(f"{brief(one.value)} ({one.origin.at()})")
        lost += [
            f"{dotted(path)} ({one.origin.at()})" for path, one in given[len(settings) :] if path in gone
        ]
    if lost and model is not None:
        rest = f"; kept: {', '.join(name for name in common if name in left)}" if left else ""
        shown = f"{brief(model.value)} ({model.origin.at()})"
        kept.notes.append(f"engine: {shown} replaces {', '.join(lost)}{rest}")


def _settings(whole: Given, choose: Choose) -> dict[str, Given]:
    """Return the settings of an engine that is given whole, with where each was written."""
    if whole.value is None or whole.value is DELETED:
        return {}
    try:
        chosen = choose("engine", whole)
    except ConfigError:
        return {}  # what names nothing has no settings
    origin = chosen.trail[0][1]
    return {name: Given(value, origin.under(name), swept=whole.swept) for name, value in chosen.value.items()}
