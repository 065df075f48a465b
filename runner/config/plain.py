"""Files with a ``defaults:`` list: Hydra composes them, and the command line still wins.

Hydra composes once for each distinct choice of groups; values are then merged in per point, by
Hydra's own rules.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.types import RunMode
from omegaconf import open_dict

from runner.config.assemble import Raw, assemble, found_at, turn
from runner.config.choices import Chooser
from runner.config.deletions import given_by, nothing_there, there
from runner.config.document import Document, Key, dotted
from runner.config.hydra_settings import named, names_job
from runner.config.hydra_source import composing, config_name, loader
from runner.config.interpolation import omegaconf
from runner.config.keys import BROUGHT, GROUPS
from runner.config.layers import Given, command_layer, file_layer, file_layer_of, split
from runner.config.overrides import Change
from runner.config.reader import Reader
from runner.config.sweep import Axis, Entry, both_ways, combinations, command_axes, file_axes, free_axes
from runner.config.values import brief
from runner.errors import ConfigError, Fault
from runner.values import Json

_TYPES = {
    "set": OverrideType.CHANGE,
    "add": OverrideType.ADD,
    "force": OverrideType.FORCE_ADD,
    "delete": OverrideType.DEL,
}


@dataclass(frozen=True, slots=True)
class Base:
    """What one choice of groups comes to, and the groups there were to choose from."""

    config: Any
    container: dict[str, Json]
    choices: dict[str, str]


class Composer:
    """Composes one plain file with any number of override sets; equals `hydra.compose`.

    Beyond Hydra, an option chosen for one of our groups on the command line replaces what the
    file's body says under that group's key.
    """

    def __init__(self, document: Document, reader: Reader) -> None:
        self._document = document
        self._reader = reader
        self._bases: dict[tuple[str, ...], Base] = {}
        self._groups: dict[str, bool] = {}
        self._repository = loader(reader, document.path).repository

    def compose(
        self, changes: Sequence[Change], swept: Collection[Key] = (), undeleted: list[Fault] | None = None
    ) -> dict[str, Json]:
        """Return the config, interpolations left as they are.

        Args:
            changes: the overrides.
            swept: what axes give that something fixed; it may be deleted though nothing stands there.
            undeleted: takes the faults of deletions that find nothing, which are raised without it.

        Raises:
            ConfigError: Hydra refuses the choice of groups or one of the values.
        """
        choices = [change for change in changes if self.is_choice(change)]
        config = copy.deepcopy(self.base(choices).config)
        faults: list[Fault] = []
        for change in _in_turn([one for one in changes if one not in choices]):
            if change.action == "delete" and not there(_container(config), change.key):
                if not given_by(swept, change.key):
                    faults.append(nothing_there(change.key, _container(config)))
            else:
                with composing(self._reader, dotted(change.key), "command line"):
                    _apply(config, change)
        if faults and undeleted is None:
            raise ConfigError(faults)
        if undeleted is not None:
            undeleted += faults
        return _container(config)

    def defaults_list(self, changes: Sequence[Change]) -> list[tuple[str, str, str]]:
        """Return Hydra's defaults list: path, package and parent of each config, in order."""
        lines = [self._line(change) for change in changes if self.is_choice(change)]
        with composing(self._reader, "defaults", self._document.origin.at(("defaults",))):
            made = loader(self._reader, self._document.path)
            found = made.compute_defaults_list(config_name(self._document.path), lines, RunMode.RUN).defaults
        return [
            (str(one.config_path), one.package or "", one.parent or "")
            for one in found
            if not str(one.config_path).startswith("hydra/")
        ]

    def known_groups(self) -> Collection[str]:
        """Return the groups that the file's own defaults list chooses from."""
        return self.base([]).choices

    def is_choice(self, change: Change) -> bool:
        """Tell whether Hydra takes a change as the choice of a group's option, or as its own setting."""
        group = change.group or dotted(change.key)
        if group not in self._groups:
            self._groups[group] = group.startswith("hydra") or bool(self._repository.group_exists(group))
        return self._groups[group] and not isinstance(change.value, dict)

    def base(self, choices: Sequence[Change]) -> Base:
        """Return what a choice of groups comes to; composed once."""
        lines = tuple(self._line(change) for change in choices)
        if lines not in self._bases:
            replaced = [dotted(change.key) for change in choices if dotted(change.key) in GROUPS]
            made = loader(self._reader, self._document.path, replaced)
            with composing(self._reader, "defaults", self._document.origin.at(("defaults",))):
                config: Any = made.load_configuration(
                    config_name(self._document.path), list(lines), RunMode.RUN, from_shell=False
                )
            chosen = {str(group): str(name) for group, name in config.hydra.runtime.choices.items()}
            with open_dict(config):
                del config["hydra"]
            self._bases[lines] = Base(config, _container(config), chosen)
        return self._bases[lines]

    def _line(self, change: Change) -> str:
        """Return the override as Hydra takes it: a group that the file doesn't choose from is appended."""
        key = dotted(change.key)
        if change.group or key not in GROUPS or change.action == "delete":
            return change.line
        return f"{key}={change.value}" if key in self.known_groups() else f"+{key}={change.value}"


def _in_turn(changes: Sequence[Change]) -> list[Change]:
    """Return *changes* as they are merged, whatever order they were typed in."""
    return sorted(changes, key=lambda one: turn(one.key, deletes=one.action == "delete"))


def _container(config: Any) -> dict[str, Json]:
    return cast("dict[str, Json]", omegaconf().to_container(config, resolve=False))


def _apply(config: Any, change: Change) -> None:
    action = _TYPES[change.action]
    if action is OverrideType.CHANGE:
        action = OverrideType.FORCE_ADD  # keys that nobody declared are for the schema to judge
    override = Override(
        type=action,
        key_or_group=dotted(change.key) if not change.group else change.group,
        value_type=ValueType.ELEMENT,
        _value=change.found if change.action == "delete" else change.value,
        package=dotted(change.key) if change.group else None,
        input_line=change.line,
    )
    ConfigLoaderImpl._apply_overrides_to_config([override], config)  # noqa: SLF001 - Hydra's own merge


class Plain:
    """One file with a ``defaults:`` list, and the command line.

    Attributes:
        swept: what the file sweeps, and what is wrong with that.
        axes: what is swept.
        notes: what holds for every point.
    """

    def __init__(
        self,
        document: Document,
        changes: Sequence[Change],
        reader: Reader,
        chooser: Chooser,
        params: Sequence[Axis] = (),
    ) -> None:
        if "extends" in document.data:
            hint = "put the other file's name into the `defaults:` list"
            source = document.origin.at(("extends",))
            raise ConfigError([
                Fault("extends", "a file with `defaults:` can't extend another", hint, source)
            ])
        self._document = document
        given = [change for change in changes if not change.sweep]
        self._changes = [change for change in given if change.key[0] != "sweep"]
        self._reader = reader
        self._chooser = chooser
        self._composer = Composer(document, reader)
        layers = [file_layer(document), command_layer(given)]
        self.swept = file_axes(layers)
        self.swept.faults.extend(both_ways(self.swept.sound, params))
        axes = [*self.swept.sound, *params, *command_axes(changes, 1)]
        self._swept = {split(key) for axis in axes for key in axis.keys}
        self.axes, self.notes = free_axes(axes, layers)

    def combinations(self) -> Iterator[tuple[tuple[Axis, Entry], ...]]:
        """Yield what each point sets."""
        return combinations(self.axes)

    def raw(self, combination: tuple[tuple[Axis, Entry], ...] = ()) -> Raw:
        """Return the config of one point."""
        swept = [_swept(key, given) for _, entry in combination for key, given in entry.items()]
        changes = [*swept, *self._changes]
        replacing = [change for change in changes if self._replaces(change)]
        choices = [c for c in changes if c not in replacing and self._composer.is_choice(c)]
        base = self._composer.base(choices)
        replaced = {change.key[0] for change in replacing}
        brought = {"engine"} if "model" in replaced else set()  # a model that replaces another may bring one
        deleted = {c.key[0] for c in changes if c.action == "delete" and c.key[0] in BROUGHT and c.key[1:]}
        renamed = {"name"} if names_job(self._document) else set()
        fronted = replaced | brought | deleted | renamed | _fronted(base.container)
        values = [c for c in changes if c not in replacing and c not in choices]
        hydras = [change for change in values if change.key[0] not in fronted]
        undeleted: list[Fault] = []
        composed = self._composer.compose([*choices, *hydras], self._swept, undeleted)
        under = named(file_layer_of(composed, self._document.origin), self._document)
        over = [c for c in changes if c in replacing or (c in values and c not in hydras)]
        raw = assemble([under, command_layer(over)], self._chooser, self._swept)
        raw.faults += undeleted
        self._tell(raw, base, [*choices, *hydras])
        return raw

    def _tell(self, raw: Raw, base: Base, changes: Sequence[Change]) -> None:
        """Add to *raw* where Hydra took things from, and what its overrides replaced."""
        for group, name in base.choices.items():
            path = self._reader.option(group, name) if group in GROUPS else None
            if path is not None:
                raw.trail.insert(0, ((group,), self._reader.read(path).origin))
        plain = self._composer.base([]).container
        for change in changes:
            raw.trail.append((change.key, change.origin))
            before = found_at(plain, change.key) if change in self._changes else None
            if before is not None and before != change.value and change.action != "add":
                new = "the default" if change.action == "delete" else brief(change.value, change.key)
                given = f"{dotted(change.key)}: {new} ({change.origin.label})"
                raw.notes.append(f"{given} replaces {brief(before, change.key)}")

    def defaults_list(self) -> list[tuple[str, str, str]]:
        """Return Hydra's defaults list: path, package and parent of each config, in order."""
        options = [c for c in self._changes if not self._replaces(c) or self._names_model(c)]
        return self._composer.defaults_list(options)

    def _replaces(self, change: Change) -> bool:
        """Tell whether a change gives a group's whole value in a way that Hydra has no word for."""
        key = dotted(change.key)
        if key not in GROUPS or change.group:
            return False
        if change.action == "delete":
            return key not in self._composer.known_groups()
        if not isinstance(change.value, str):
            return True
        # A model is ours, so that its engine is known to be given later than the file's.
        return self._reader.option(key, change.value) is None or self._names_model(change)

    def _names_model(self, change: Change) -> bool:
        """Tell whether a change names a model's option that sets nothing else."""
        if dotted(change.key) != "model" or change.group or not isinstance(change.value, str):
            return False
        if self._reader.option("model", change.value) is None:
            return False
        try:
            self._chooser.choose("model", Given(change.value, change.origin))
        except ConfigError:
            return False  # Hydra says what is wrong, or takes one that sets more than the model
        return True


def _fronted(container: dict[str, Json]) -> set[str | int]:
    """Return the keys that are ours to lay over: choices in the body, and dotted keys."""
    named: set[str | int] = {key for key in GROUPS if isinstance(container.get(key), str | list)}
    return named | {key.split(".", maxsplit=1)[0] for key in container if "." in key}


def _swept(key: str, given: Given) -> Change:
    line = f"{key}={given.value}"
    group = given.group
    return Change(line, tuple(key.split(".")), group, "set", (given.value,))
