"""Turns what stands under a group's key into a map: an option, a shorthand, or the map itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from runner.config.document import Key, Origin
from runner.config.hydra_options import hydra_option, needs_hydra
from runner.config.keys import LATER_ENGINES, LATER_SCORERS, nearest, served
from runner.config.layers import Given
from runner.config.reader import Reader
from runner.config.row_files import ROW_FILES, ROW_SUFFIXES
from runner.config.texts import NOTHING
from runner.config.values import brief
from runner.engines.auto import AUTO
from runner.engines.registry import engine_kinds
from runner.engines.weights import PATH_LIKE, is_hub_name
from runner.errors import ConfigError, Fault
from runner.files import entries, is_folder, shown_name
from runner.scoring.registry import scorer_kinds
from runner.spec import CLUSTER_KINDS
from runner.values import Json

KIND_AND_NAME = re.compile(r"^([a-z][a-z0-9_]*):(.*)$")
_LONGEST_NAME = 255
"""Most bytes of a file's or a folder's name."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The map behind a choice, and where its keys were written."""

    value: dict[str, Json]
    trail: tuple[tuple[Key, Origin], ...] = ()


class Chooser:
    """Expands the choices of one composition; each option is read once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], Chosen] = {}
        self._shorthands: dict[str, Callable[[str, Origin], Chosen]] = {
            "model": self._model,
            "engine": self._engine,
            "prompt": self._prompt,
            "dataset": self._dataset,
            "cluster": self._cluster,
        }

    def choose(self, group: str, given: Given) -> Chosen:
        """Return the map that *given* stands for under a group's key.

        Raises:
            ConfigError: no such option, with the nearest.
        """
        value = given.value
        if value == NOTHING and self._option(group, NOTHING) is None:
            raise self._fault(group, "None is text here", "write null, without quotes", given.origin)
        if group == "scorers":
            return self._scorers(given)
        if isinstance(value, dict):
            return Chosen(value, (((), given.origin),))
        if not isinstance(value, str):
            problem = f"{brief(value)} given, expected the name of an option or a map"
            raise self._fault(group, problem, nearest("", self._reader.options(group)), given.origin)
        key = (given.group or group, value)
        if key not in self._known:
            self._known[key] = self._named(*key, given.origin)
        return self._known[key]

    def scorer(self, name: str, given: Given) -> Chosen:
        """Return the settings of one scorer in a map of scorers."""
        value = given.value
        if isinstance(value, dict):
            return Chosen(value, (((), given.origin),))
        if not isinstance(value, str):
            raise self._fault(
                f"scorers.{name}", f"{brief(value)} given, expected a name or a map", "", given.origin
            )
        named = self._scorer_named(value, given.origin)
        if len(named.value) != 1:
            hint = "choose it in a list: scorers: [" + value + "]"
            raise self._fault(
                f"scorers.{name}", f"{value} holds {len(named.value)} scorers", hint, given.origin
            )
        inner, settings = next(iter(named.value.items()))
        prefix, origin = named.trail[0]
        return Chosen(settings, (((), origin if prefix else origin.under(inner)),))

    def _named(self, group: str, name: str, origin: Origin) -> Chosen:
        option = self._option(group, name)
        if option is not None:
            return option
        shorthand = self._shorthands.get(group)
        if shorthand is None:
            raise self._unknown(group, name, self._reader.options(group), origin)
        return shorthand(name, origin)

    def _option(self, group: str, name: str) -> Chosen | None:
        path = self._reader.option(group, name)
        if path is None:
            return None
        document = self._reader.read(path)
        if needs_hydra(document):
            return Chosen(hydra_option(self._reader, group, name), (((), document.origin),))
        return Chosen(document.data, (((), document.origin),))

    def _model(self, name: str, origin: Origin) -> Chosen:
        if kind := KIND_AND_NAME.match(name):
            return self._served_model(kind[1], kind[2], origin)
        if name.startswith(PATH_LIKE) or _is_folder(self._reader, name):
            return Chosen({"name": name}, (((), origin),))
        options = self._reader.options("model")
        hint = nearest(name, [*options, *self._siblings(name)], say_known=False)
        if not hint and is_hub_name(name):
            hint = f"did you mean hf:{name}?"
        if other := served(name, engine_kinds()):
            hint = f"{hint} {other};".lstrip()
        known = f"options: {', '.join(options) or 'none'}"
        forms = (
            "; or write hf:ORG/NAME for the hub, KIND:NAME for an engine, ./FOLDER for weights, "
            "{name: NAME} for what a server calls it"
        )
        problem = f"{shown_name(name)} is neither an option of conf/model/ nor a folder"
        raise self._fault("model", problem, f"{hint} {known}{forms}".strip(), origin)

    def _served_model(self, kind: str, name: str, origin: Origin) -> Chosen:
        """Return the model *name* of a kind of engine, or of the hub."""
        hub = kind == "hf"
        if not hub and kind not in engine_kinds():
            raise self.unknown_kind("model", "engine", kind, origin)
        if not name:
            hint = f"write {kind}:{'ORG/NAME' if hub else 'NAME'}"
            raise self._fault("model", f"{kind}: lacks the model's name", hint, origin)
        engine = {} if hub else {"engine": {"kind": kind}}
        return Chosen({"name": name, **engine}, (((), origin),))

    def _siblings(self, name: str) -> list[str]:
        parent = PurePath(name).parent
        folder = self._reader.places.find(str(parent))
        if folder is None or str(parent) == ".":
            return []
        return [str(parent / one.name) for one in entries(folder) if is_folder(one)]

    def _engine(self, name: str, origin: Origin) -> Chosen:
        if name in engine_kinds() or name == AUTO:
            return Chosen({"kind": name}, (((), origin),))
        raise self.unknown_kind("engine", "engine", name, origin)

    def _cluster(self, name: str, origin: Origin) -> Chosen:
        if name in CLUSTER_KINDS:
            return Chosen({"kind": name}, (((), origin),))
        known = sorted({*CLUSTER_KINDS, *self._reader.options("cluster")})
        raise self._unknown("cluster", name, known, origin)

    def _prompt(self, name: str, origin: Origin) -> Chosen:
        folders = self._reader.places.templates
        if self._reader.places.template(name) is not None:
            return Chosen({"template": name}, (((), origin),))
        if "{{" in name or "{%" in name or re.search(r"\s", name) or len(name.encode()) > _LONGEST_NAME:
            return Chosen({"user": name}, (((), origin),))
        known = {p.name for folder in folders for p in entries(folder) if is_folder(p)}
        known |= set(self._reader.options("prompt"))
        own = self._reader.places.root / "templates"
        looked = self._reader.folders(dict.fromkeys([own, *folders]))
        if not own.is_dir():
            looked += f" (there is no {self._reader.folders([own])} yet)"
        shown = shown_name(name) if name else "empty text"
        problem = f"{shown} is neither a folder of {looked} nor an option of conf/prompt/"
        hint = nearest(name, sorted(known))
        if name:
            hint += f"; for the text itself write {{user: {brief(name)}}}"
        if name.isidentifier():
            hint += f'; if it is a column, write "{{{{ row.{name} }}}}"'
        raise self._fault("prompt", problem, hint, origin)

    def _dataset(self, name: str, origin: Origin) -> Chosen:
        if name.lower().endswith(ROW_SUFFIXES):
            return Chosen({"path": name}, (((), origin),))
        known = self._reader.options("dataset")
        problem = f"{shown_name(name)} is neither an option of conf/dataset/ nor the path of {ROW_FILES}"
        raise self._fault("dataset", problem, nearest(name, known), origin)

    def _scorers(self, given: Given) -> Chosen:
        value, origin = given.value, given.origin
        if isinstance(value, str):
            return self._scorer_named(value, origin)
        if isinstance(value, list):
            return self._scorer_list(value, origin)
        if not isinstance(value, dict):
            raise self._fault(
                "scorers", f"{brief(value)} given, expected a list of names or a map", "", origin
            )
        built: dict[str, Json] = {}
        trail: list[tuple[Key, Origin]] = [((), origin)]
        for name, one in value.items():
            if one is not None:
                chosen = self.scorer(name, Given(one, origin.under(name)))
                built[name] = chosen.value
                trail += [((name, *path), where) for path, where in chosen.trail]
        return Chosen(built, tuple(trail))

    def _scorer_list(self, names: list[Json], origin: Origin) -> Chosen:
        built: dict[str, Json] = {}
        trail: list[tuple[Key, Origin]] = [((), origin)]
        for index, name in enumerate(names):
            where = origin.under(index)
            if not isinstance(name, str):
                hint = "give settings as a map: scorers: {numeric: {kind: numeric, ...}}"
                raise self._fault("scorers", f"{brief(name)} given in a list of scorer names", hint, where)
            chosen = self._scorer_named(name, where)
            built |= chosen.value
            trail += chosen.trail
        return Chosen(built, tuple(trail))

    def _scorer_named(self, name: str, origin: Origin) -> Chosen:
        option = self._option("scorers", name)
        if option is not None:
            return option
        if name in scorer_kinds():
            return Chosen({name: {"kind": name}}, (((name,), origin),))
        raise self.unknown_kind("scorers", "scorer", name, origin)

    def unknown_kind(self, place: str, what: str, name: str, origin: Origin, path: Key = ()) -> ConfigError:
        """Return the fault of a kind that isn't registered: unknown, or not built yet."""
        kinds = engine_kinds() if what == "engine" else scorer_kinds()
        later = LATER_ENGINES if what == "engine" else LATER_SCORERS
        group = "engine" if what == "engine" else "scorers"
        known = sorted({*kinds, *self._reader.options(group)}) if place == group else sorted(kinds)
        if name in later:
            problem, hint = f"{what} {name} is not built yet", f"known: {', '.join(known)}"
        else:
            problem, hint = f"there is no {what} {shown_name(name)}", nearest(name, known)
        return ConfigError([Fault(place, problem, hint, origin.at(path))])

    def _unknown(self, group: str, name: str, known: list[str], origin: Origin) -> ConfigError:
        return self._fault(
            group, f"no option of conf/{group}/ is called {shown_name(name)!r}", nearest(name, known), origin
        )

    def _fault(self, place: str, problem: str, hint: str, origin: Origin) -> ConfigError:
        return ConfigError([Fault(place, problem, hint, origin.at())])


def _is_folder(reader: Reader, name: str) -> bool:
    found = reader.places.find(name)
    return found is not None and is_folder(found)
