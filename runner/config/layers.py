"""What each layer gives: the file that is extended, the file, the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from runner.config.document import COMMAND_LINE, Document, Key, Origin, dotted
from runner.config.keys import FRONT, GROUPS, nearest
from runner.config.overrides import Change
from runner.config.reader import Reader
from runner.errors import ConfigError, Fault
from runner.files import entries, find, is_file, no_file, shown_name
from runner.shipped import shipped
from runner.values import Json


class _Deleted:
    """Marks a key that goes back to its default."""

    def __repr__(self) -> str:
        return "deleted"


DELETED: Final = _Deleted()


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody wrote.

    Attributes:
        group: where an option is looked up, when that isn't the key it stands under.
        only: the value that a deletion must find; None for any.
        swept: whether a sweep of a file gives it, over what else that file gives.
    """

    value: Json
    origin: Origin
    group: str = ""
    only: Json = None
    swept: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One file, or the command line.

    Attributes:
        whole: top-level key -> the value that stands for all of it.
        parts: dotted keys, in the order given; laid over the whole value.
        replaced: top-level key -> the whole value that was given here before, such as what a sweep varies.
    """

    whole: dict[str, Given] = field(default_factory=dict)
    parts: tuple[tuple[Key, Given], ...] = ()
    replaced: dict[str, Given] = field(default_factory=dict)

    def given(self, entries: dict[str, Given]) -> Layer:
        """Return this layer with *entries* (by dotted key) given in it too."""
        if not entries:
            return self
        whole = {**self.whole, **{key: value for key, value in entries.items() if "." not in key}}
        parts = tuple((split(key), value) for key, value in entries.items() if "." in key)
        replaced = {**self.replaced, **{key: self.whole[key] for key in entries if key in self.whole}}
        return replace(self, whole=whole, parts=self.parts + parts, replaced=replaced)


def split(key: str) -> Key:
    """Return the parts of a dotted key."""
    return tuple(key.split("."))


def file_layer(document: Document) -> Layer:
    """Return what one file gives, whatever it extends."""
    data = {
        key: value
        for key, value in document.data.items()
        if key not in {"extends", "defaults"} and key.split(".", maxsplit=1)[0] != "hydra"
    }
    return file_layer_of(data, document.origin)


def file_layer_of(data: dict[str, Json], origin: Origin) -> Layer:
    """Return *data*, written in one file, as a layer."""
    return Layer().given({key: Given(value, origin.under(key)) for key, value in data.items()})


def command_layer(changes: Sequence[Change]) -> Layer:
    """Return what the command line gives, sweeps left out."""
    layer = Layer()
    for change in changes:
        if not change.sweep:
            layer = layer.given({dotted(change.key): _given(change)})
    return layer


def _given(change: Change) -> Given:
    if change.action == "delete":
        return Given(DELETED, change.origin, change.group, only=change.found)
    return Given(change.value, change.origin, change.group)


def refuse_misplaced(changes: Sequence[Change]) -> None:
    """Refuse overrides that mean nothing in a file without ``defaults:``.

    Raises:
        ConfigError: all of them.
    """
    faults = [fault for change in changes if (fault := _misplaced(change))]
    if faults:
        raise ConfigError(faults)


def _misplaced(change: Change) -> Fault | None:
    key = dotted(change.key)
    if change.group and (change.group not in GROUPS or key not in GROUPS):
        problem = f"{change.line}: an option can only be put under one of the groups"
        wrong = change.group if change.group not in GROUPS else key
        return Fault(f"{change.group}@{key}", problem, nearest(wrong, GROUPS), COMMAND_LINE.label)
    if change.key[0] in FRONT and change.key[0] != "sweep":
        return Fault(key, "can't be given on the command line", "", COMMAND_LINE.label)
    return None


def extended(document: Document, reader: Reader) -> list[Document]:
    """Return the files that *document* builds on, the farthest first and itself last.

    Raises:
        ConfigError: a file that isn't there, a circle, or a base with a ``defaults:`` list.
    """
    chain = [document]
    while (name := chain[0].data.get("extends")) is not None:
        child = chain[0]
        source = child.origin.at(("extends",))
        if not isinstance(name, str):
            raise ConfigError([Fault("extends", "expected the name or path of one file", "", source)])
        path = _find_base(name, child.path, reader, source)
        if any(path == known.path for known in chain):
            circle = " -> ".join(d.path.stem for d in [*reversed(chain), *_until(chain, path)])
            raise ConfigError([
                Fault("extends", f"the files extend each other in a circle: {circle}", "", source)
            ])
        base = reader.read(path)
        if "defaults" in base.data:
            hint = f"give this file a `defaults:` list too, with {path.stem} in it"
            raise ConfigError([Fault("extends", f"{base.origin.label} has a `defaults:` list", hint, source)])
        chain.insert(0, base)
    return chain


def _until(chain: list[Document], path: Path) -> list[Document]:
    return [known for known in chain if known.path == path]


def _find_base(name: str, child: Path, reader: Reader, source: str) -> Path:
    folders = [child.parent, reader.places.root / "experiments", shipped() / "experiments"]
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        for text in (name, f"{name}.yaml"):
            found = find(text, [folder])
            if found is not None and is_file(found):
                path = found.resolve()
                if path != child or Path(name).stem != child.stem:
                    return path
    own = find(f"{name.removesuffix('.yaml')}.yaml", [child.parent])
    if own is not None and own.resolve() == child:
        return child
    names = sorted({path.stem for folder in folders for path in entries(folder) if path.suffix == ".yaml"})
    shown = shown_name(name)
    problem = f"no file {shown} or {shown}.yaml in {reader.folders(folders)}"
    if why := no_file(name, folders):
        problem = f"no experiment file {shown}: {why}"
    raise ConfigError([Fault("extends", problem, nearest(Path(name).stem, names), source)])
