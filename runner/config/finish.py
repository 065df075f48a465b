"""From the laid config of one point to a validated experiment."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import ValidationError

from runner.config.assemble import Raw, laid, merged
from runner.config.auto import AutoEngine
from runner.config.choices import KIND_AND_NAME, Chooser
from runner.config.document import Key, Origin, dotted
from runner.config.explain import explain, later_keys
from runner.config.files import Files
from runner.config.interpolation import missing, resolve
from runner.config.keys import (
    BROUGHT,
    DEFAULT_CLUSTER,
    DEFAULT_ENGINE,
    LATER_DATASETS,
    LATER_ENGINES,
    LATER_SCORERS,
)
from runner.config.layers import Given
from runner.config.replaced import lost_target
from runner.config.row_files import row_format
from runner.config.texts import read_values, spelled_nothing
from runner.config.values import brief, oversized
from runner.engines.auto import AUTO
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, Fault
from runner.schema import experiment_type, fitting_type
from runner.scoring.registry import scorer_kinds
from runner.spec import LARGEST, Experiment
from runner.values import Json


class Finisher:
    """Finishes the points of one composition."""

    def __init__(self, name: str, chooser: Chooser, files: Files, *, one_engine: bool = False) -> None:
        """Prepare to finish; of *one_engine*, what auto stands for first holds for all points."""
        self._name = name
        self._chooser = chooser
        self._files = files
        self._auto = AutoEngine(lambda *given: files.settle(*given)[0], once=one_engine)

    def completed(self, raw: Raw) -> dict[str, Json]:
        """Return the config with its name, and what the model brings laid under the experiment's own.

        Faults are added to *raw*.
        """
        config = {"name": self._name, **raw.config}
        raw.faults += later_keys(config, raw.source)
        model = config.get("model")
        if isinstance(model, dict):
            config["model"] = {key: value for key, value in model.items() if key not in BROUGHT}
            for group in BROUGHT:
                if model.get(group) is not None:
                    self._bring(raw, config, group, model[group])
        if isinstance(config.get("engine", {}), dict):
            config["engine"] = {"kind": DEFAULT_ENGINE, **config.get("engine", {})}
        if isinstance(config.get("cluster"), dict):
            config["cluster"] = {"kind": DEFAULT_CLUSTER, **config["cluster"]}
        return config

    def _bring(self, raw: Raw, config: dict[str, Json], group: str, brought: Json) -> None:
        model_trail = [(path[1:], o) for path, o in raw.trail if path[:2] == ("model", group)]
        model_trail += [((), o.under(group)) for path, o in raw.trail if path == ("model",)]
        origin = model_trail[-1][1] if model_trail else Origin("model")
        try:
            chosen = self._chooser.choose(group, Given(brought, origin))
        except ConfigError as error:
            raw.faults += error.faults
            return
        own = config.get(group)
        kind = own.get("kind") if isinstance(own, dict) else None
        if group == "engine" and kind != chosen.value.get("kind") and _names_engine_later(raw):
            layer, model = raw.winners["model"]
            raw.notes.append(f"engine: {model.value} replaces {brief(raw.winners['engine'][1].value)}")
            own = _laid_since(raw, "engine", layer)
        elif group == "engine" and kind == AUTO and (fault := _not_for_auto(raw, chosen.value.get("kind"))):
            raw.faults.append(fault)
            own = None
        elif kind is not None and chosen.value.get("kind") not in (None, kind):
            raw.notes.append(
                f"engine: {brief(own)} ({raw.source((group,))}) replaces the model's {brief(chosen.value)}"
            )
            return
        below: list[tuple[Key, Origin]] = [((group, *path), where) for path, where in chosen.trail]
        raw.trail[:0] = below
        config[group] = chosen.value if own is None else merged(chosen.value, own)

    def finish(self, raw: Raw) -> Experiment | None:
        """Return the experiment, or None with faults added to *raw*."""
        written = self.completed(raw)
        config, faults, outside = resolve(written, raw.source)
        raw.faults += faults
        raw.faults += [
            Fault(dotted(place), "must be given", f"such as {dotted(place)}=VALUE", raw.source(place))
            for place in missing(config)
        ]
        large = list(oversized(config))
        config = self._kinds(raw, dict(config))
        read_values(config, outside)
        nothing = spelled_nothing(config, raw.source)
        if _kind(config.get("engine")) == AUTO:
            self._choose_engine(raw, config)
        if raw.faults or large:
            self._validated(raw, config, written, partly=True)
            self._refuse_large(raw, large)
            raw.faults += nothing
            return None
        experiment = self._validated(raw, config, written)
        raw.faults += nothing
        if experiment is None or nothing:
            return None
        settled, found = self._files.settle(experiment, written)
        faults = [Fault(f.place, f.problem, f.hint, raw.source(tuple(f.place.split(".")))) for f in found]
        faults += lost_target(raw, experiment, self._chooser)
        raw.faults += faults
        return None if faults else settled

    def _choose_engine(self, raw: Raw, config: dict[str, Json]) -> None:
        config["engine"], choice, faults = self._auto.chosen(config)
        raw.faults += [
            Fault(f.place, f.problem, f.hint, raw.source(tuple(f.place.split(".")))) for f in faults
        ]
        if choice.kind:
            raw.notes.append(choice.note)

    def _validated(
        self, raw: Raw, config: dict[str, Json], written: dict[str, Json], *, partly: bool = False
    ) -> Experiment | None:
        try:
            # Most configs are right; what is wrong with others, the type that knows every engine tells.
            with suppress(ValidationError):
                return fitting_type(config).model_validate(config)
            return experiment_type().model_validate(config)
        except ValidationError as error:
            faults = explain(error, config, written, raw.source)
            known = raw.failed | {fault.place.split(".", maxsplit=1)[0] for fault in raw.faults}
            raw.faults += [f for f in faults if not partly or f.place.split(".", maxsplit=1)[0] not in known]
            return None

    @staticmethod
    def _refuse_large(raw: Raw, places: list[Key]) -> None:
        """Add a fault for each number that has no narrower bound of its own."""
        known = {fault.place for fault in raw.faults}
        raw.faults += [
            Fault(dotted(place), f"too large: whole numbers go up to {LARGEST}", "", raw.source(place))
            for place in places
            if dotted(place) not in known
        ]

    def _kinds(self, raw: Raw, config: dict[str, Json]) -> dict[str, Json]:
        """Fill in kinds that can be told, and refuse those of later parts by name."""
        dataset = config.get("dataset")
        if isinstance(dataset, dict):
            # Without a path that is what's wrong, and not the kind, which one need not give.
            path = dataset.get("path")
            told = row_format(path if isinstance(path, str) else "", dataset.get("kind"))
            config["dataset"] = {**told, **dataset}
        scorers = config.get("scorers")
        if isinstance(scorers, dict):
            config["scorers"] = {
                name: {"kind": name, **one} if isinstance(one, dict) and name in scorer_kinds() else one
                for name, one in scorers.items()
            }
        refuse = partial(_refuse_later, raw)
        refuse(
            ("dataset",), _kind(config.get("dataset")), "dataset kind", LATER_DATASETS, "jsonl, csv, parquet"
        )
        refuse(("engine",), _kind(config.get("engine")), "engine", LATER_ENGINES, ", ".join(engine_kinds()))
        for name, one in (config.get("scorers") or {}).items() if isinstance(scorers, dict) else ():
            known = ", ".join(scorer_kinds())
            refuse(("scorers", name), _kind(one), "scorer", LATER_SCORERS, known)
        return config


def _names_engine_later(raw: Raw) -> bool:
    """Tell whether the model was given as KIND:NAME in a later layer than the engine."""
    if "model" not in raw.winners or "engine" not in raw.winners:
        return False
    model, engine = raw.winners["model"], raw.winners["engine"]
    return (
        isinstance(model[1].value, str)
        and KIND_AND_NAME.match(model[1].value) is not None
        and model[0] > engine[0]
    )


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


def _laid_since(raw: Raw, group: str, layer: int) -> Json:
    """Return what layers from *layer* on lay over a group; the rest, and where it was written, is gone."""
    raw.trail = [(path, origin) for path, origin in raw.trail if path[0] != group]
    value: Json = None
    for index, path, given in raw.parts:
        if path[0] == group and index >= layer:
            raw.trail.append((path, given.origin))
            value = laid(value, path, 1, given.value, given.origin.at())
    return value


def _kind(value: Any) -> Json:
    return value.get("kind") if isinstance(value, dict) else None


def _refuse_later(raw: Raw, place: Key, given: Json, what: str, later: tuple[str, ...], known: str) -> None:
    if isinstance(given, str) and given in later and given not in known.split(", "):
        problem = f"{what} {given} is not built yet"
        raw.faults.append(Fault(dotted(place), problem, f"known: {known}", raw.source(place)))
