"""Reads each YAML file of one composition once, and remembers which were read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.config.document import Document, read_document
from runner.files import is_file
from runner.places import Places
from runner.shipped import shipped


class Reader:
    """Reads files and options; what it read is the composition's sources.

    Args:
        places: decides how files are named in messages and where options are looked up.

    Attributes:
        typed: paths that the command line gives, which start at the working folder first.
        groups: folders of options, the first match counts.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self.typed: set[str] = set()
        self._documents: dict[Path, Document] = {}
        self._options: dict[tuple[str, str], Path | None] = {}
        self.groups = places.groups

    def search(self, folders: Iterable[Path]) -> None:
        """Look options up in *folders* too: after the project's, before the user's and those that ship."""
        own = self.places.root / "conf"
        front = [own] if own in self.groups else []
        self.groups = tuple(dict.fromkeys([*front, *folders, *self.groups]))
        self._options.clear()

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file read so far, in order."""
        return tuple(self._documents)

    def read(self, path: Path) -> Document:
        """Return the file's content; read once."""
        known = self._documents.get(path)
        if known is None:
            known = self._documents[path] = read_document(path, self.label(path))
        return known

    def label(self, path: Path) -> str:
        """Return *path* as messages show it: relative to the working folder, the root or what ships."""
        for base, prefix in ((Path.cwd(), ""), (self.places.root, ""), (shipped(), "shipped ")):
            if path.is_relative_to(base):
                return prefix + path.relative_to(base).as_posix()
        return str(path)

    def folders(self, paths: Iterable[Path]) -> str:
        """Return folders as messages show them: relative to the working folder, else absolute."""
        here = Path.cwd()
        return ", ".join(
            dict.fromkeys(
                (p.relative_to(here).as_posix() if p.is_relative_to(here) else str(p)) for p in paths
            )
        )

    def option(self, group: str, name: str) -> Path | None:
        """Return the file of an option, or None if there is none."""
        if (group, name) not in self._options:
            paths = (folder / group / f"{name.removesuffix('.yaml')}.yaml" for folder in self.groups)
            safe = name and not name.startswith(("/", ".", "~")) and ".." not in name.split("/")
            self._options[group, name] = next((p for p in paths if is_file(p)), None) if safe else None
        return self._options[group, name]

    def options(self, group: str) -> list[str]:
        """Return the names of all options of a group, subfolders included."""
        found = {
            path.relative_to(folder / group).with_suffix("").as_posix()
            for folder in self.groups
            for path in (folder / group).rglob("*.yaml")
        }
        return sorted(found)
