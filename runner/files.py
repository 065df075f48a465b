"""What is at a path that a user gives: whether something is there, and its content if it is a regular file.

Every path and name that comes from outside goes through these functions: what is too long, holds a NUL byte,
leads in a circle or names a device gets a message that says so.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from runner.errors import UserError

MOST_BYTES = 10_000_000
"""Largest file that is read whole: an experiment, an option, a template, a schema."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_REASONS = {
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "symbolic links lead in a circle",
    errno.EACCES: "permission denied",
    errno.ENOTDIR: "a file is where a folder is expected",
}
_OPEN = ("/dev/fd/", "/proc/self/", "/proc/thread-self/")
"""Where a process finds what it alone has open."""


def expanded(given: str | Path) -> Path:
    """Return a path with ``~`` and ``~user`` replaced by the home folder.

    Raises:
        UserError: there is no such user.
    """
    try:
        return Path(given).expanduser()
    except RuntimeError:
        user = str(given).partition("/")[0]
        raise UserError(f"{given}: there is no user {user.removeprefix('~')!r}") from None


def _mode(path: str | Path) -> int | None:
    """Return what is at *path*, links followed; None if nothing is, or nothing can be."""
    try:
        str(path).encode()  # what is no text can't be written down
        return Path(path).stat().st_mode
    except (OSError, ValueError):
        return None


def _is_private(path: str | Path) -> bool:
    """Tell whether *path* is one by which every process finds something else."""
    return str(path) == "/dev/stdin" or str(path).startswith(_OPEN)


def is_file(path: str | Path) -> bool:
    """Tell whether *path* names a regular file; no text is too odd to ask about."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode) and not _is_private(path)


def is_folder(path: str | Path) -> bool:
    """Tell whether *path* names a folder; no text is too odd to ask about."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def find(given: str | Path, bases: Iterable[Path]) -> Path | None:
    """Return what a path names, relative to the first of *bases* where something is; None if nothing is.

    ``~`` is a home folder. A path of a user who doesn't exist names nothing.
    """
    try:
        path = expanded(given)
    except UserError:
        return None
    if not str(given):
        return None
    candidates = [path] if path.is_absolute() else [base / path for base in bases]
    if "last" in path.parts:
        candidates = [_at_newest(one) for one in candidates]
    return next((one for one in candidates if _mode(one) is not None), None)


def _at_newest(path: Path) -> Path:
    """Return *path* with the newest run in the place of ``last``, below a folder of runs or of one's name."""
    before = Path(*path.parts[: path.parts.index("last")])
    if _mode(before / "last") is not None:
        return path
    try:
        found = {file.parent for depth in ("*", "*/*") for file in before.glob(f"{depth}/resolved.json")}
    except (OSError, ValueError):
        return path
    if not found:
        return path
    newest = max(found, key=lambda run: (run.name.split("-")[0], (run / "resolved.json").stat().st_mtime))
    return newest.joinpath(*path.parts[path.parts.index("last") + 1 :])


def obstacle(given: str | Path, bases: Iterable[Path] = (Path(),)) -> str:
    """Return why a path can't name a file or a folder; empty if there simply is nothing.

    What is there but neither a regular file nor a folder is named too.
    """
    if not str(given):
        return "an empty text names nothing"
    try:
        path = expanded(given)
    except UserError as error:
        return str(error).partition(": ")[2]
    candidates = [path] if path.is_absolute() else [base / path for base in bases]
    return next(filter(None, (unreachable(one) or _irregularity(one) for one in candidates)), "")


def no_file(given: str | Path, bases: Iterable[Path] = (Path(),)) -> str:
    """Return why a path names no regular file; empty if there simply is nothing."""
    places = tuple(bases)
    found = find(given, places)
    return "it is a folder" if found is not None and is_folder(found) else obstacle(given, places)


def unreachable(path: Path) -> str:
    """Return why the system can't tell what is at *path*; empty if it can, or if there simply is nothing."""
    try:
        str(path).encode()
        path.stat()
    except UnicodeEncodeError:
        return "the path is not UTF-8"
    except ValueError:
        return "no path holds a NUL byte"
    except OSError as error:
        return "" if error.errno == errno.ENOENT else _REASONS.get(error.errno or 0, error.strerror or "")
    return ""


def impossible(path: Path) -> str:
    """Return why nothing can ever be at *path*; empty if something is, or may be one day."""
    why = unreachable(path)
    return "" if why in {_REASONS[errno.ENOTDIR], _REASONS[errno.EACCES]} else why


def _irregularity(path: Path) -> str:
    mode = _mode(path)
    if mode is not None and _is_private(path):
        return "it is another file to every process"
    regular = mode is None or stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return "" if mode is None or regular else f"it is {_kind(mode)}"


def entries(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder; nothing if it can't be listed."""
    try:
        yield from sorted(folder.iterdir())
    except (OSError, ValueError):
        return


def _kind(mode: int) -> str:
    return next((name for fits, name in _KINDS if fits(mode)), "something else")


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; never waits for a pipe's writer.

    Raises:
        OSError: it isn't there, can't be read, or is a folder, a pipe, a socket or a device.
    """
    if _is_private(path):
        raise _irregular(path, "it is another file to every process")
    try:
        _require_regular(path, path.stat().st_mode)  # a socket can't even be opened
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(errno.EINVAL, unreachable(path) or str(error), str(path)) from None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0)
        if reason is None:
            raise
        raise OSError(error.errno, reason, str(path)) from None
    file = os.fdopen(descriptor, "rb")
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except OSError:
        file.close()
        raise
    return file


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise _irregular(path, f"it is {_kind(mode)}")


def _irregular(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, f"{why}, not a regular file; write its content into a file", str(path))


def read_regular(path: Path, limit: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: as `open_regular`; or the file is larger than *limit* bytes.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes, the most that is read", str(path))
    return content


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a regular file, as `Path.read_text` does: its lines end as Unix's do.

    Raises:
        OSError: as `read_regular`.
        UnicodeDecodeError: it is no such text.
    """
    text = read_regular(path).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


_SHOWN = 80


def shown_name(given: str) -> str:
    """Return a name or path as a message shows it: on one line, cut if long."""
    text = given if given.isprintable() and given else repr(given)[1:-1] or "''"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
