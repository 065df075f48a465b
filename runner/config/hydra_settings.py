"""Hydra's own settings, of a file's `hydra:` and of ``hydra.*`` on the command line: honoured or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.config.document import COMMAND_LINE, Document, Origin, dotted
from runner.config.keys import nearest
from runner.config.layers import Given, Layer
from runner.config.overrides import Change
from runner.config.values import brief
from runner.errors import ConfigError, Fault
from runner.values import Json

SEARCHPATH, MODE, PARAMS = "hydra.searchpath", "hydra.mode", "hydra.sweeper.params"
JOB_NAME, VERBOSE = "hydra.job.name", "hydra.verbose"
HONOURED = (SEARCHPATH, MODE, PARAMS, JOB_NAME, VERBOSE)
_ABOVE = frozenset({"hydra", "hydra.job", "hydra.sweeper", PARAMS})
"""The maps that they are in, and the one of the parameters."""

_RUNS = "leave it out: --runs DIR or RUNNER_RUNS names the folder of all runs, `name` the one in it"
_CLUSTER = "choose where jobs run with cluster=local, inline or slurm"
_SWEEP = "write `sweep:` in the file, or -m on the command line"
_LOGS = "leave it out: `runner logs RUN` shows the logs of a run"
_OF_ITSELF = "leave it out: every run folder holds it"
_INSTEAD = {
    "hydra.run": _RUNS,
    "hydra.sweep": _RUNS,
    "hydra.launcher": _CLUSTER,
    "hydra.sweeper.max_batch_size": "write cluster.max_jobs or cluster.array_parallelism",
    "hydra.sweeper": _SWEEP,
    "hydra.job.chdir": "leave it out: relative paths start at the project root",
    "hydra.job.env_set": "write cluster.env",
    "hydra.job.env_copy": "write cluster.env",
    "hydra.job.config": "leave it out: points are named after their values",
    "hydra.job.override_dirname": "leave it out: points are named after their values",
    "hydra.job_logging": _LOGS,
    "hydra.hydra_logging": _LOGS,
    "hydra.output_subdir": _OF_ITSELF,
    "hydra.overrides": _OF_ITSELF,
    "hydra.runtime": _OF_ITSELF,
    "hydra.help": "leave it out: see runner --help",
    "hydra.hydra_help": "leave it out: see runner --help",
    "hydra.callbacks": "leave it out: read results.jsonl and metrics.json once a run is complete",
}
"""What isn't honoured -> what to write instead."""

_PACKAGE = re.compile(r"^\s*#\s*@package\s+(hydra\b\S*)", re.MULTILINE)
_FROM_LIST = re.compile(r"^(?:override\s+|optional\s+)*/?(hydra(?:[/@].*)?|.*@hydra\b.*)$")


@dataclass(frozen=True, slots=True)
class HydraSettings:
    """What a file and a command say under ``hydra``, later layers over earlier ones.

    Attributes:
        given: honoured key -> its value; a parameter of the sweeper stands under its own key.
        changes: the overrides of the command that aren't Hydra's own settings; `hydra.job.name` is `name`.
        faults: what isn't honoured, and values of another type than expected.
    """

    given: Mapping[str, Given] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def params(self) -> dict[str, Given]:
        """The sweeper's parameters: key -> the values, as they are typed behind it."""
        start = f"{PARAMS}."
        return {key.removeprefix(start): one for key, one in self.given.items() if key.startswith(start)}

    @property
    def mode(self) -> Given | None:
        """RUN or MULTIRUN, where somebody gives it."""
        return self.given.get(MODE)

    @property
    def multirun(self) -> bool:
        """Whether the mode asks for a sweep."""
        return self.mode is not None and self.mode.value == "MULTIRUN"

    @property
    def verbose(self) -> bool:
        """Whether notes are printed in full."""
        return VERBOSE in self.given and self.given[VERBOSE].value is True


def hydra_settings(documents: Sequence[Document], changes: Sequence[Change]) -> HydraSettings:
    """Return what *documents*, the file last, and the overrides of a command say."""
    faults: list[Fault] = []
    given: dict[str, Given] = {}
    for document in documents:
        given |= _in_file(document, faults)
    others: list[Change] = []
    changes = [one for change in changes for one in _with_name(change)]
    for change in changes:
        if change.key[0] != "hydra" and not change.group.startswith("hydra") and "/" not in change.key[0]:
            others.append(change)
        elif dotted(change.key) == JOB_NAME and not change.group and not change.sweep:
            others.append(replace(change, key=("name",)))
        elif change.key[0].startswith("hydra") or change.group.startswith("hydra"):
            if _unsets(change) and JOB_NAME in given and JOB_NAME.startswith(f"{dotted(change.key)}."):
                others.append(replace(change, key=("name",), action="delete", values=()))
            _in_command(change, given, faults)
        else:
            others.append(change)
    faults += _twice(changes)
    given.pop(JOB_NAME, None)  # in the layer of its file it is `name`
    given = {key: one for key, one in given.items() if one.value is not None}
    wrong = {key: fault for key, one in given.items() if (fault := _type_fault(key, one))}
    sound = {key: one for key, one in given.items() if key not in wrong}
    return HydraSettings(sound, tuple(others), (*faults, *wrong.values()))


def named(layer: Layer, document: Document) -> Layer:
    """Return the layer of a file with what `hydra.job.name` in it gives: the run's name.

    Raises:
        ConfigError: the file gives another `name` too.
    """
    given = _in_file(document, []).get(JOB_NAME)
    if given is None or given.value is None:
        return layer
    own = layer.whole.get("name")
    if own is not None and own.value != given.value:
        problem = _two_names(given.value, f"{brief(own.value)} as `name` ({own.origin.at()})")
        raise ConfigError([Fault(JOB_NAME, problem, "leave one of them out", given.origin.at())])
    return layer.given({"name": given})


def names_job(document: Document) -> bool:
    """Tell whether a file gives `hydra.job.name`."""
    return JOB_NAME in _in_file(document, [])


def refuse_in_config(document: Document, *, primary: bool) -> None:
    """Refuse Hydra's settings where they aren't read: in options, in other configs, and in a defaults list.

    Raises:
        ConfigError: all of them.
    """
    faults = []
    if not primary:
        hint = "write it into the experiment file, or on the command line"
        for key in document.data:
            if key.split(".", maxsplit=1)[0] == "hydra":
                found = [
                    f for one in _flat(key, document.data[key], document.origin.under(key)) if (f := one[2])
                ]
                problem = "Hydra's settings are read in the experiment file alone"
                faults += found or [Fault(key, problem, hint, document.origin.at((key,)))]
        if package := _PACKAGE.search(document.text):
            problem = f"# @package {package[1]}: Hydra's settings are read in the experiment file alone"
            faults.append(Fault("hydra", problem, hint, document.origin.label))
    listed = document.data.get("defaults")
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        name = next(iter(item), "") if isinstance(item, dict) else str(item)
        if listed_as := _FROM_LIST.match(name):
            faults.append(_refused(listed_as[1].replace("/", "."), document.origin.at(("defaults", index))))
    if faults:
        raise ConfigError(faults)


def _in_file(document: Document, faults: list[Fault]) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for key, value in document.data.items():
        if key.split(".", maxsplit=1)[0] == "hydra":
            for place, given, fault in _flat(key, value, document.origin.under(key)):
                if fault is not None:
                    faults.append(fault)
                elif place in found and found[place].value != given.value:
                    faults.append(Fault(place, "given twice", "leave one of them out", given.origin.at()))
                else:
                    found[place] = given
    return found


def _with_name(change: Change) -> Iterator[Change]:
    """Yield an override, and before a map that holds the job's name the name as an override of its own."""
    if change.key[0] == "hydra" and not change.group and not change.sweep and isinstance(change.value, dict):
        for place, one, _ in _flat(dotted(change.key), change.value, change.origin):
            if place == JOB_NAME:
                yield replace(change, key=tuple(JOB_NAME.split(".")), values=(one.value,))
    yield change


def _unsets(change: Change) -> bool:
    """Tell whether an override takes back what is below its key."""
    return change.action == "delete" or (not change.sweep and not change.group and change.value is None)


def _in_command(change: Change, given: dict[str, Given], faults: list[Fault]) -> None:
    place = dotted(change.key)
    if change.group and not change.group.startswith("hydra/"):
        problem = "an option can't be put under Hydra's settings"
        hint = f"known: {', '.join(HONOURED)}"
        faults.append(Fault(f"{change.group}@{place}", problem, hint, change.origin.label))
    elif change.group or "/" in place:
        faults.append(_refused((change.group or place).replace("/", "."), change.origin.label))
    elif change.sweep:
        hint = {
            JOB_NAME: "write name=NAME; points are named after their values",
            PARAMS: "write -m KEY=a,b",
        }.get(place, f"write -m {place.removeprefix(f'{PARAMS}.')}=a,b" if place.startswith(PARAMS) else "")
        faults += [
            one[2] or Fault(place, "can't be swept: it is the same for all points", hint, change.origin.label)
            for one in list(_flat(place, change.values[0], change.origin))[:1]
        ]
    elif change.action == "delete":
        faults += _delete(place, change, given)
    elif _unsets(change) and place in _ABOVE:
        _delete(place, change, given)
    else:
        for key, one, fault in _flat(place, change.value, change.origin):
            if fault is None:
                given[key] = one
            else:
                faults.append(fault)


def _delete(place: str, change: Change, given: dict[str, Given]) -> list[Fault]:
    """Delete what is given at *place* and below it."""
    gone = [key for key in given if key == place or key.startswith(f"{place}.")]
    for key in gone:
        del given[key]
    hint = f"known: {', '.join(HONOURED)}"
    return [] if gone else [Fault(place, "nothing to delete: it is not given", hint, change.origin.label)]


def _twice(changes: Sequence[Change]) -> Iterator[Fault]:
    """Find a command that names the run in both ways."""
    names = {dotted(one.key): one.value for one in changes if not one.sweep and one.action != "delete"}
    if {"name", JOB_NAME} <= names.keys() and names["name"] != names[JOB_NAME]:
        problem = _two_names(names[JOB_NAME], f"{brief(names['name'])} as `name`")
        yield Fault(JOB_NAME, problem, "leave one of them out", COMMAND_LINE.label)


def _two_names(name: Json, other: str) -> str:
    return f"{brief(name)} here, and {other}: both name the run"


def _flat(key: str, value: Json, origin: Origin) -> Iterator[tuple[str, Given, Fault | None]]:
    """Yield every setting at *key* and below it, with the fault of one that isn't honoured."""
    given = Given(value, origin)
    above = any(one.startswith(f"{key}.") for one in HONOURED)
    if key == PARAMS and isinstance(value, dict):
        for name, inner in value.items():
            yield f"{key}.{name}", Given(inner, origin.under(name)), None
    elif key in HONOURED or key.startswith(f"{PARAMS}."):
        yield key, given, None
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner, origin.under(name))
    elif above and value not in (None, {}) and _instead(key) is None:
        hint = f"known: {', '.join(HONOURED)}"
        yield key, given, Fault(key, f"{brief(value)} given, expected a map", hint, origin.at())
    elif not above or value not in (None, {}):
        yield key, given, _refused(key, origin.at())


def _refused(key: str, source: str) -> Fault:
    instead = _instead(key) or nearest(key, HONOURED)
    return Fault(key, "this setting of Hydra does nothing here", instead, source)


def _instead(key: str) -> str | None:
    parts = key.split(".")
    return next(
        (_INSTEAD[one] for n in range(len(parts), 1, -1) if (one := ".".join(parts[:n])) in _INSTEAD), None
    )


def _type_fault(key: str, given: Given) -> Fault | None:
    """Return the fault of a value of another type than a setting has."""
    value, expected, hint = given.value, "", ""
    if isinstance(value, str) and "${" in value and not key.startswith(PARAMS):
        return None  # resolved where it is used
    if key == SEARCHPATH:
        fits = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
        expected, hint = "a list of folders", f"such as {key}=[FOLDER]"
    elif key == MODE:
        fits, expected, hint = value in ("RUN", "MULTIRUN"), "RUN or MULTIRUN", ""
    elif key == VERBOSE:
        fits, expected = isinstance(value, bool), "true or false"
        hint = "it prints every note in full, as --verbose does; there are no loggers to name"
    else:
        name = key.removeprefix(f"{PARAMS}.")
        fits = isinstance(value, str | int | float) and name != key and not name.startswith("~")
        expected = "the values as text" if name != key else "a map of keys to values"
        hint = f"such as {PARAMS}: {{sampling.temperature: '0,1'}}; or write `sweep: {{KEY: [...]}}`"
        if name != key and isinstance(value, dict):
            hint = f"write the key with dots: {name}.{next(iter(value), 'KEY')}: ..."
    problem = f"{brief(value)} given, expected {expected}"
    return None if fits else Fault(key, problem, hint, given.origin.at())
