"""Lays what a model brings, its engine, topology and sampling, under the experiment's own."""

from __future__ import annotations

from collections.abc import Iterator

from runner.config.assemble import Deletion, Raw, found_at, laid, merged
from runner.config.choices import KIND_AND_NAME, Chooser
from runner.config.deletions import nothing_there, other_value, there
from runner.config.document import Key, Origin, Trail, dotted
from runner.config.keys import BROUGHT
from runner.config.layers import DELETED, Given
from runner.config.values import brief
from runner.engines.auto import AUTO
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, Fault
from runner.values import Json


def bring(raw: Raw, config: dict[str, Json], chooser: Chooser) -> None:
    """Lay what the model in *config* brings under it; faults and notes are added to *raw*.

    What is deleted is deleted from what the model brings, too.
    """
    model = config.get("model")
    brought = {}
    if isinstance(model, dict):
        config["model"] = {key: value for key, value in model.items() if key not in BROUGHT}
        brought = {group: model[group] for group in BROUGHT if model.get(group) is not None}
    for group in BROUGHT:
        deletions = [one for one in raw.deletions if one.path[0] == group]
        if group in brought:
            _bring(raw, config, group, brought[group], deletions, chooser)
        else:
            raw.faults += [nothing_there(one.path, raw.config) for one in deletions if not one.found]


def _bring(
    raw: Raw, config: dict[str, Json], group: str, brought: Json, deletions: list[Deletion], chooser: Chooser
) -> None:
    trail = [(path[1:], origin) for path, origin in raw.trail if path[:2] == ("model", group)]
    origin = next((one for path, one in reversed(trail) if path == (group,)), None) or _origin(raw, group)
    try:
        chosen = chooser.choose(group, Given(brought, origin))
    except ConfigError as error:
        raw.faults += error.faults
        return
    value = _without(raw, group, chosen.value, deletions, config.get(group))
    own = config.get(group)
    kind = own.get("kind") if isinstance(own, dict) else None
    if group == "engine" and kind == AUTO and (fault := _not_for_auto(raw, value.get("kind"))):
        raw.faults.append(fault)
        own = None
    elif kind is not None and value.get("kind") not in (None, kind):
        raw.notes.append(
            f"engine: {brief(own)} ({raw.source((group,))}) replaces the model's {brief(chosen.value)}"
        )
        return
    below: list[tuple[Key, Origin]] = [((group, *path), where) for path, where in chosen.trail]
    deeper = [one for one in trail if len(one[0]) > 1]
    raw.trail[:0] = [*below, *deeper]
    if isinstance(own, dict):  # whose own line is not that of what the model alone gives
        raw.trail += [
            (path, where.under(path[-1])) for path, where in _alone(group, value, own, chosen.trail)
        ]
        raw.trail += [one for one in deeper if one[0][1] not in own]
    config[group] = value if own is None else merged(value, own)


def _alone(
    group: str, value: dict[str, Json], own: dict[str, Json], trail: Trail
) -> Iterator[tuple[Key, Origin]]:
    """Yield the keys that only a model gives, with where its whole value was written."""
    whole = [origin for path, origin in trail if path == ()]
    yield from (((group, name), whole[-1]) for name in value if name not in own and whole)


def _origin(raw: Raw, group: str) -> Origin:
    """Return where what a model brings was written with the model: where its line is known, if anywhere."""
    models = [origin for path, origin in raw.trail if path == ("model",)]
    known = max((origin.depth((group,)) for origin in models), default=0)
    last = next((one for one in reversed(models) if one.depth((group,)) == known), Origin("model"))
    return last.under(group)


def _without(
    raw: Raw, group: str, value: dict[str, Json], deletions: list[Deletion], own: Json
) -> dict[str, Json]:
    """Return what a model brings without what is deleted."""
    whole: Json = {group: value}
    for one in deletions:
        if not there(whole, one.path):
            raw.faults += [] if one.found else [nothing_there(one.path, {group: merged(value, own or {})})]
        elif not one.found and (fault := other_value(one.path, found_at(whole, one.path), one.only)):
            raw.faults.append(fault)
        else:
            lost = brief(found_at(whole, one.path), one.path)
            raw.notes.append(f"{dotted(one.path)}: the default (command line) replaces the model's {lost}")
            whole = laid(whole, one.path, 0, DELETED, "")
    left = whole.get(group) if isinstance(whole, dict) else None
    return left if isinstance(left, dict) else {}


def _not_for_auto(raw: Raw, kind: Json) -> Fault | None:
    """Return the fault of a model given as KIND:NAME, of a kind that loads no weights."""
    model = raw.winners["model"][1].value if "model" in raw.winners else None
    if not isinstance(model, str) or not KIND_AND_NAME.match(model):
        return None
    known = engine_kinds()
    if not isinstance(kind, str) or kind not in known or known[kind].capabilities.local:
        return None
    problem = f"{AUTO} stands for engines that load local weights, and {model} names {kind}"
    hint = f"write engine={kind} model.name={model.partition(':')[2]}"
    return Fault("engine", problem, hint, raw.source(("engine",)))
