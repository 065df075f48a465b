"""From the laid config of one point to a validated experiment."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import ValidationError

from runner.config.assemble import Raw
from runner.config.auto import AutoEngine
from runner.config.brought import bring
from runner.config.choices import Chooser
from runner.config.document import Key, dotted
from runner.config.explain import explain, later_keys
from runner.config.files import Files
from runner.config.interpolation import missing, resolve
from runner.config.keys import (
    DEFAULT_CLUSTER,
    DEFAULT_ENGINE,
    LATER_DATASETS,
    LATER_ENGINES,
    LATER_SCORERS,
)
from runner.config.replaced import lost_target
from runner.config.row_files import row_format
from runner.config.texts import read_values, spelled_nothing
from runner.config.values import oversized
from runner.engines.auto import AUTO
from runner.engines.registry import engine_kinds
from runner.errors import Fault
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
        bring(raw, config, self._chooser)
        if isinstance(config.get("engine", {}), dict):
            config["engine"] = {"kind": DEFAULT_ENGINE, **config.get("engine", {})}
        if isinstance(config.get("cluster"), dict):
            config["cluster"] = {"kind": DEFAULT_CLUSTER, **config["cluster"]}
        return config

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


def _kind(value: Any) -> Json:
    return value.get("kind") if isinstance(value, dict) else None


def _refuse_later(raw: Raw, place: Key, given: Json, what: str, later: tuple[str, ...], known: str) -> None:
    if isinstance(given, str) and given in later and given not in known.split(", "):
        problem = f"{what} {given} is not built yet"
        raw.faults.append(Fault(dotted(place), problem, f"known: {known}", raw.source(place)))
