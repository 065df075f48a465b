"""Run folders: their names, their files, their lock."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import msgspec

from runner.errors import UserError
from runner.files import expanded, impossible, is_file, shown_name

CACHE_FILE = ".cache.sqlite"
"""The one earlier cache that later runs read, beside the runs."""

CANCELLED = "cancelled"
"""Marker in a job's folder: it was told to stop for good; in a point's: ask nothing more for it."""

STOPPED = "stopped"
"""Marker in a job's folder: it was told to stop for now, by Ctrl-C."""

RESOLVED_FILE = "resolved.json"
"""Written last: a folder counts as a run once it is there."""

LOCK_FILE = ".lock"
"""First made once a run is written whole: a folder that has it and no `RESOLVED_FILE` has lost that."""

RETRY_FINAL = "retry-final"
"""Marker in a job's folder: ask rows again whose error was final."""


PUT_BACK = "put it back, or start a new run"
"""What helps where a file of a run is damaged that nothing else tells the contents of."""

T = TypeVar("T")


def write_file(path: Path, data: bytes | str) -> None:
    """Write *path* under a temporary name and rename it, so that nobody reads half a file.

    Raises:
        OSError: it can't be written; names the file, and nothing of it is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path):
        try:
            temporary.write_bytes(data.encode() if isinstance(data, str) else data)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an error of the system's name the file that it is about: those of a write don't by themselves."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_file(path: Path, kind: type[T], remedy: str = PUT_BACK) -> T:
    """Return what a JSON file of a run holds.

    Raises:
        UserError: it holds something else; says so with the *remedy*.
        FileNotFoundError: it isn't there.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}") from None


def lost(path: Path) -> UserError:
    """Return what says that a file is gone which a run can't be without."""
    gone = [folder for folder in path.parents[1:] if not folder.exists()]
    problem = f"{gone[-1]} is gone" if gone else f"{path.parent} is damaged (no {path.name} in it)"
    return UserError(f"{problem}: {PUT_BACK}")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One command's folder, ``runs/<name>/<UTC time>-<4 hex>/``."""

    path: Path

    @classmethod
    def create(cls, runs: Path, name: str) -> RunFolder:
        """Make a new folder for a run of the experiment *name*.

        Raises:
            UserError: it can't be made; nothing of it is left behind.
        """
        while True:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            path = runs / name / f"{stamp}-{secrets.token_hex(2)}"
            try:
                path.mkdir(parents=True)
                for sub in ("jobs", "points", "inputs"):
                    (path / sub).mkdir()
            except FileExistsError:
                if path.is_dir():
                    continue
                raise _no_folder(path.parent, "a file is in its place") from None
            except OSError as error:
                raise cls(path).not_made(error) from error
            return cls(path)

    def not_made(self, error: OSError) -> UserError:
        """Remove what there is of a new run, and return what says that it can't be made."""
        self.remove()
        return _no_folder(self.path, error.strerror or str(error))

    def remove(self) -> None:
        """Remove a new run, as it was refused."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            self.path.parent.rmdir()  # of an experiment that has other runs it stays

    @contextmanager
    def refusable(self) -> Iterator[None]:
        """Remove a new run, of which nothing was launched, where it is refused after all."""
        try:
            yield
        except UserError:
            self.remove()
            raise

    @property
    def name(self) -> str:
        """Experiment and stamp, as every command takes it."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def written(self) -> float:
        """When it was written (Unix time)."""
        with suppress(FileNotFoundError):
            return (self.path / RESOLVED_FILE).stat().st_mtime
        return self.path.stat().st_mtime

    @property
    def runs(self) -> Path:
        """The folder that all runs are in."""
        return self.path.parent.parent

    @property
    def cache(self) -> Path:
        """The cache shared by all runs."""
        return self.runs / CACHE_FILE

    def job(self, name: str) -> Path:
        """Folder of a job."""
        return self.path / "jobs" / name

    def point(self, name: str) -> Path:
        """Folder of a point."""
        return self.path / "points" / name

    @property
    def jobs(self) -> list[Path]:
        """Folders of all jobs that are written whole, in order."""
        return sorted(path.parent for path in (self.path / "jobs").glob("*/job.json"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder's lock; waits for whoever folds it now.

        Raises:
            OSError: the folder can't be written.
        """
        with (self.path / LOCK_FILE).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def launching(self, command: str) -> Iterator[None]:
        """Hold the right to launch this run's jobs, as *command*; never waits.

        Raises:
            UserError: another command holds it; the message names that command.
            OSError: the folder can't be written.
        """
        path = self.path / ".launch.lock"
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "another command"
                raise UserError(f"{self.name} is being launched by {holder}") from None
            holder = f"runner {command}, process {os.getpid()} on {socket.gethostname()}"
            with naming(path):
                file.truncate(0)
                os.write(file.fileno(), holder.encode())
            yield


def _no_folder(path: Path, reason: str) -> UserError:
    return UserError(
        f"the run's folder {path} can't be made: {reason} (--runs or RUNNER_RUNS names another place)"
    )


def all_runs(runs: Path) -> list[RunFolder]:
    """Return every run below *runs*, oldest first; those too that lost a file."""
    return sorted(_found(runs, "*/*"), key=_age)


def newest_first(folders: Sequence[Path]) -> list[Path]:
    """Return folders of runs, the one with the newest run first; else in the order given."""
    newest = {folder: max(map(_age, all_runs(folder)), default=("", 0.0)) for folder in folders}
    return sorted(folders, key=lambda folder: newest[folder], reverse=True)


def _found(folder: Path, pattern: str) -> list[RunFolder]:
    """Return the runs in the folders that a pattern names."""
    marked = (path.parent for name in (RESOLVED_FILE, LOCK_FILE) for path in folder.glob(f"{pattern}/{name}"))
    return [RunFolder(path) for path in dict.fromkeys(marked)]


def _age(run: RunFolder) -> tuple[str, float]:
    """Order by the stamp; of runs started within one second, by when they were written."""
    return run.path.name.split("-", maxsplit=1)[0], run.written


def find_run(runs: Path, text: str) -> RunFolder:
    """Return the run that *text* names.

    Args:
        runs: the folder of all runs.
        text: a run's folder, its name, a unique prefix of ``name/stamp`` or of the stamp, ``last``,
            or ``name/last``; each but the stamp's prefix also below the path of a folder of runs.

    Raises:
        UserError: none or several runs match.
    """
    given = expanded(text)
    if any(is_file(given / name) for name in (RESOLVED_FILE, LOCK_FILE)):
        return RunFolder(given.resolve())
    if why := impossible(given):
        raise UserError(f"no run {shown_name(text)!r}: {why}")
    known, wanted = all_runs(runs), text.rstrip("/")
    matching = _matching(known, wanted)
    if not matching and (below := _named_below(given)) is not None:
        runs, wanted = below
        known = all_runs(runs)
        matching = _matching(known, wanted)
    if len(matching) == 1:
        return matching[0]
    if not known:
        raise UserError(f"there are no runs in {runs}; start one with: runner run FILE")
    names = [run.name for run in known]
    if matching:
        listed = ", ".join(run.name for run in matching[-5:])
        experiments = {run.path.parent.name for run in matching}
        newest = f", or {experiments.pop()}/last for the newest" if len(experiments) == 1 else ""
        raise UserError(f"{text!r} names {len(matching)} runs; give more of the name: {listed}{newest}")
    near = get_close_matches(wanted, [*names, *{name.split("/")[0] for name in names}], n=3)
    hint = f"did you mean {near[0]}?" if near else f"the newest are {', '.join(names[-3:])}"
    raise UserError(f"no run {shown_name(text)!r} in {runs}; {hint}")


def _matching(known: Sequence[RunFolder], wanted: str) -> list[RunFolder]:
    """Return the runs that a name or a beginning of one means; of ``last``, the newest."""
    experiment, _, rest = wanted.rpartition("/")
    if rest == "last":
        found = [run for run in known if experiment in {"", run.path.parent.name}]
        if found:
            return found[-1:]
    return [run for run in known if run.name.startswith(wanted) or run.path.name.startswith(wanted)]


def _named_below(given: Path) -> tuple[Path, str] | None:
    """Return the folder of runs that a path leads through, and what it names below that."""
    path = Path(os.path.abspath(given))  # noqa: PTH100 - the last part often is no file, and links stay
    if _found(path.parent, "*"):
        return path.parent.parent, f"{path.parent.name}/{path.name}"
    if _found(path, "*") or (path.name == "last" and _found(path.parent, "*/*")):
        return path.parent, path.name
    return None
