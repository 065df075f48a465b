"""What an LLM is declared to be, composed and checked by the code that composes experiment files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from runner.config import Composition
from runner.config.assemble import assemble
from runner.config.choices import Chooser
from runner.config.document import Document, Origin
from runner.config.files import Files
from runner.config.finish import Finisher
from runner.config.front import Front
from runner.config.interpolation import environment_reads
from runner.config.layers import Given, Layer
from runner.config.limits import MOST_DEPTH
from runner.config.reader import Reader
from runner.config.verdict import Verdict
from runner.drawing import Drawing
from runner.effective import sampling_faults
from runner.errors import ConfigError, Fault
from runner.files import expanded, is_folder, obstacle, shown_name, unreachable
from runner.identity import make_scope
from runner.llm.foreign import converted, schema_of
from runner.llm.wording import python_words
from runner.places import Places
from runner.plan import PlannedPoint, make_plan
from runner.prepare import secret_names
from runner.refusals import placed
from runner.runs import CACHE_FILE
from runner.secrets import Secrets
from runner.spec.sampling import is_template
from runner.values import Json, Scope, canonical_json

_NAME = "llm"
_RAW = {"user": "{{ row.input }}"}
_PROMPTS: Mapping[str, Json] = {
    "chat": {"messages": "input"},
    **dict.fromkeys(("complete", "embed", "classify", "reward"), _RAW),
    "score": {"pair": ["{{ row.first }}", "{{ row.second }}"]},
    "rerank": {"query": "{{ row.query }}", "documents": "{{ row.documents }}"},
    "loglikelihood": {"context": "{{ row.context }}", "continuations": "{{ row.continuations }}"},
}
"""A prompt that each task takes, as an experiment must have one; what is asked comes from calls."""
_CALL = Origin("call")
_MODES = ("refresh", "strict")
_CALLS_KEPT = 256
"""Ways of sampling that stay composed."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an LLM was made with: plain values, which is all of it that travels to another process.

    Attributes:
        declared: keys of an experiment file.
        project: folder that relative paths, options and runs are looked up from; absolute.
        cache: a cache file instead of the one beside the runs; absolute, or empty.
    """

    declared: tuple[tuple[str, Json], ...]
    project: str
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One way of sampling, composed: what all calls with these values share."""

    point: PlannedPoint
    drawing: Drawing
    secrets: Secrets


class Declared:
    """A model on an engine, with everything that calls ask of it.

    Raises:
        ConfigError: all faults of the arguments, as a file with them would have.
    """

    def __init__(self, arguments: Arguments) -> None:
        file = Path(arguments.project) / f"{_NAME}.yaml"
        self.places = Places.of(file)
        self.cache = Path(arguments.cache) if arguments.cache else self.places.runs / CACHE_FILE
        self._file = file
        self._reader = Reader(self.places)
        self._chooser = Chooser(self._reader)
        self._finisher = Finisher(_NAME, self._chooser, Files(self._reader), one_engine=True)
        self._composed = lru_cache(_CALLS_KEPT)(self._compose)
        with python_words():
            with environment_reads():
                self._layers = Front(self._document(arguments), [], self._reader, self._chooser).layers
            self.plain = self._compose("", b"[]", asks=False)

    def _document(self, arguments: Arguments) -> Document:
        declared = {name: plain(value, name) for name, value in arguments.declared}
        task = declared.get("task")
        own = {
            "prompt": _PROMPTS.get(str(task), _PROMPTS["chat"]),
            # A file must be named, and this one is there; what is asked comes from calls.
            "dataset": {"kind": "jsonl", "path": __file__},
            "cluster": {"kind": "inline"},
        }
        return Document(self._file, {**own, **declared}, Origin("LLM"))

    def call(self, sampling: Mapping[str, Any], task: str = "") -> Call:
        """Return what calls with these sampling values share; with *task* of another than the declared one.

        Raises:
            ConfigError: a task that the engine can't do, values that are none or that it can't honour.
        """
        with python_words(of_call=True):
            values = {name: plain(value, f"sampling.{name}") for name, value in sampling.items()}
            return self._composed(task, canonical_json(list(values.items())))

    def _compose(self, task: str, values: bytes, *, asks: bool = True) -> Call:
        """Return a call; if it *asks*, all that the engine needs must be given."""
        given = msgspec.json.decode(values)
        parts = tuple((("sampling", name), Given(value, _CALL)) for name, value in given)
        asked = {"task": task, "prompt": _PROMPTS[task]} if task else {}
        whole = {name: Given(value, _CALL) for name, value in asked.items()}
        verdict = Verdict()
        with environment_reads() as names:
            raw = assemble([*self._layers, Layer(whole, parts)], self._chooser)
            experiment = self._finisher.finish(raw)
        verdict.add({}, experiment, raw.notes, raw.faults, trail=raw.trail)
        points = verdict.points()
        composition = Composition(self._file, (), self.places, points, self._reader.sources, tuple(names))
        plan = make_plan(composition, written=False)
        point = plan.points[0]
        faults = [
            Fault(f"sampling.{name}", f"{value!r} is a template, and a call has no row to fill it from")
            for name, value in point.sampling.items()
            if is_template(value)
        ]
        faults += sampling_faults(point.experiment, point.kind, point.prompt) if asks else []
        if faults:
            raise ConfigError(placed(faults, point.point))
        return Call(point, Drawing(point.sampling, ()), Secrets.of(secret_names(plan)))

    def scope(self) -> Scope:
        """Return what model and engine are to the request key; may take long, as local weights are read."""
        experiment = self.plain.point.experiment
        strict = experiment.cache == "strict"
        return make_scope(experiment.model, experiment.engine, self.plain.point.kind, strict=strict)


def plain(value: Any, place: str, depth: int = 0) -> Json:
    """Return *value* as YAML would have given it: tuples are lists, paths are text.

    Values of other libraries are what they stand for: NumPy's numbers, Arrow's columns, pydantic's classes.

    Raises:
        ConfigError: it holds something that no file could.
    """
    if depth > MOST_DEPTH:
        name = place.split(".", maxsplit=1)[0]
        raise ConfigError([Fault(name, f"more than {MOST_DEPTH} lists and maps within each other")])
    value = converted(schema_of(value, place))
    if isinstance(value, dict):
        return {
            _name(converted(key), place): plain(inner, f"{place}.{key}", depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(inner, f"{place}.{index}", depth + 1) for index, inner in enumerate(value)]
    return _single(value, place)


def _single(value: Any, place: str) -> Json:
    if isinstance(value, float) and not isfinite(value):
        raise ConfigError([Fault(place, f"{value} given, expected a number")])
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    problem = f"{type(value).__name__} given, expected text, a number, a list or a map, as in a file"
    raise ConfigError([Fault(place, problem)])


def _name(key: Any, place: str) -> str:
    if isinstance(key, str | int):
        return str(key)
    raise ConfigError([Fault(place, f"{key!r} given as a key, expected text")])


def cache_of(given: object) -> tuple[bool | str, str]:
    """Return what a file would say of the cache, and the cache's own file where one was named."""
    given = converted(given)
    if isinstance(given, bool) or given in _MODES:
        return given, ""
    # A word alone is rather a mode misspelled than a file without a suffix in the working folder.
    if isinstance(given, Path) or (isinstance(given, str) and ("." in given or os.sep in given)):
        file = expanded(given).absolute()
        if why := obstacle(file):
            raise ConfigError([Fault("cache", f"{shown_name(str(given))} can't be a cache file: {why}")])
        return True, str(file)
    problem = f"{given!r} given, expected True, False, refresh, strict, or the path of a cache file"
    hint = f"a file is named such as ./{given}" if isinstance(given, str) else ""
    raise ConfigError([Fault("cache", problem, hint)])


def project_of(given: str | Path | None) -> str:
    """Return the project's folder, absolute.

    Raises:
        ConfigError: there is none.
    """
    folder = expanded(converted(given) or ".").absolute()
    if not is_folder(folder):
        why = unreachable(folder)
        raise ConfigError([
            Fault("project", f"no folder {shown_name(str(folder))}" + (f": {why}" if why else ""))
        ])
    return str(folder)
