"""Folders of options that `hydra.searchpath` names."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path
from urllib.parse import unquote

from runner.config.hydra_settings import SEARCHPATH, HydraSettings
from runner.config.interpolation import resolved_text
from runner.config.layers import Given
from runner.config.values import brief
from runner.errors import ConfigError, Fault
from runner.files import find, is_folder
from runner.places import Places
from runner.values import Json

_FORMS = "write a folder, file://FOLDER, or pkg://PACKAGE"


def search_folders(settings: HydraSettings, places: Places) -> tuple[Path, ...]:
    """Return the folders of options that are named, in order.

    A relative one is looked up from the project root; one of the command line from the working folder first.

    Raises:
        ConfigError: those that aren't there.
    """
    given = settings.given.get(SEARCHPATH)
    if given is None:
        return ()
    value = _resolved(given.value, given)
    bases = (Path.cwd(), places.root) if given.origin.in_command else (places.root,)
    folders: list[Path] = []
    faults: list[Fault] = []
    for index, text in enumerate(value if isinstance(value, list) else [value]):
        folder = _folder(text, bases) if isinstance(text, str) else None
        if folder is None:
            problem = f"there is no folder {brief(text)}"
            faults.append(Fault(SEARCHPATH, problem, _FORMS, given.origin.under(index).at()))
        else:
            folders.append(folder)
    if faults:
        raise ConfigError(faults)
    return tuple(folders)


def _resolved(value: Json, given: Given) -> Json:
    if isinstance(value, list):
        return [_resolved(one, given) for one in value]
    if isinstance(value, str) and "${" in value:
        return resolved_text(SEARCHPATH, value, {}, given.origin.at())
    return value


def _folder(text: str, bases: tuple[Path, ...]) -> Path | None:
    scheme, sign, rest = text.partition("://")
    if not sign:
        found = find(text, bases)
    elif scheme == "file":
        found = find(unquote(rest), bases)
    elif scheme == "pkg":
        found = _in_package(rest)
    else:
        return None
    return found.absolute() if found is not None and is_folder(found) else None


def _in_package(name: str) -> Path | None:
    """Return a package's folder; nothing of it is imported."""
    package, *inner = name.replace("/", ".").split(".")
    spec = PathFinder.find_spec(package) if package else None
    places = (spec.submodule_search_locations or ()) if spec is not None else ()
    return find("/".join(inner), [Path(one) for one in places]) if inner else next(map(Path, places), None)
