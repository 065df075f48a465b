"""Where things are: the project root, the groups, templates and runs of one experiment file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath

import platformdirs

from runner.errors import UserError
from runner.files import expanded, find, impossible, is_folder, no_file, obstacle, shown_name
from runner.shipped import shipped
from runner.streams import require_utf8


@dataclass(frozen=True, slots=True)
class Places:
    """Folders that one experiment is resolved against; all absolute.

    Attributes:
        root: nearest folder above the experiment file that holds ``conf/`` or ``templates/``, or the file
            below its ``experiments/``; else the file's own folder. A shipped experiment is no project's:
            the working folder stands in for its own.
        runs: where runs are written.
    """

    root: Path
    runs: Path

    @classmethod
    def of(cls, file: Path, runs: Path | None = None) -> Places:
        """Return the places of an experiment file; *runs* overrides RUNNER_RUNS overrides root/runs.

        Raises:
            UserError: a folder's name is not UTF-8.
        """
        folder = file.resolve().parent
        if folder.is_relative_to(shipped() / "experiments"):
            folder = Path.cwd()
        root = _root_of(folder)
        chosen = runs or (Path(value) if (value := os.environ.get("RUNNER_RUNS")) else root / "runs")
        chosen = expanded(chosen).absolute()
        require_utf8(str(root), "the project's folder")
        require_utf8(str(chosen), "the folder of runs")
        require_utf8(str(shipped()), "the folder that the runner is installed in")
        if why := impossible(chosen):
            raise UserError(f"the folder of all runs, {shown_name(str(chosen))}, can't be used: {why}")
        return cls(root, chosen)

    @property
    def groups(self) -> tuple[Path, ...]:
        """Folders of config groups, first match wins: the project's, the user's, the shipped."""
        user = Path(platformdirs.user_config_dir("runner", appauthor=False))
        return tuple(dict.fromkeys(p for p in (self.root / "conf", user, shipped() / "conf") if p.is_dir()))

    @property
    def templates(self) -> tuple[Path, ...]:
        """Folders of prompt templates, first match wins."""
        return tuple(
            dict.fromkeys(p for p in (self.root / "templates", shipped() / "templates") if p.is_dir())
        )

    def template(self, name: str) -> Path | None:
        """Return the folder of a prompt's templates, or None."""
        inside = name and not name.startswith((".", "/", "~")) and ".." not in name.split("/")
        folders = (folder / name for folder in self.templates if inside)
        return next((folder for folder in folders if is_folder(folder)), None)

    def find(self, path: str) -> Path | None:
        """Return the file or folder a relative *path* names, in the root or among what ships."""
        return find(path, self.bases(path))

    def rows(self, path: str) -> Path | None:
        """Return what a dataset's *path* names, in the root or among the shipped ``data/``."""
        return find(path, self.bases(path, rows=True))

    def obstacle(self, path: str) -> str:
        """Return why *path* can't name a file or a folder; empty if there simply is none."""
        return obstacle(path, self.bases(path))

    def no_file(self, path: str) -> str:
        """Return why *path* names no regular file; empty if there simply is nothing."""
        return no_file(path, self.bases(path))

    def bases(self, path: str, *, rows: bool = False) -> tuple[Path, ...]:
        """Return where *path*, of a dataset's *rows* or of anything else, is looked for.

        That is the root, and of the installation the folders that ship for it.
        """
        parts = PurePath(path).parts
        ships = bool(parts) and parts[0] in (_ROWS if rows else _SHIPPED) and ".." not in parts
        return (self.root, shipped()) if ships else (self.root,)


_SHIPPED = frozenset({"conf", "data", "experiments", "models", "templates"})
"""Folders of the installation whose files may be named by a path."""
_ROWS = frozenset({"data"})
"""Those with datasets."""


def _root_of(folder: Path) -> Path:
    """Return the root of the project that files in *folder* belong to; a folder of its own where none is."""
    below = None
    for one in (folder, *folder.parents):
        if (one / "conf").is_dir() or (one / "templates").is_dir() or below == "experiments":
            return one
        below = one.name
    return folder
