"""Make a virtual environment with the Python that runs this: a lock's packages, and the project, editable.

    environment.py FOLDER run|dev

It needs nothing but the standard library. Where FOLDER is up to date it returns at once. An environment that
another Python made, that was moved, or whose making was interrupted is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
_KINDS = ("run", "dev")
"""Each holds all that the ones before it hold."""
_STAMP = "installed.json"


class CannotInstallError(Exception):
    """Why there is no environment, in one line."""


def make_environment(folder: Path, kind: str) -> None:
    """Bring the environment in *folder* up to the lock of a *kind*; one that holds more keeps it.

    Raises:
        CannotInstallError: the folder is something else, this Python can't make one, or pip failed.
    """
    with (LOCKS / "build.txt").open("a") as lock:  # nothing is written: two makes at once take turns
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(folder):
            _create(folder)
        installed = _installed(folder)
        kind = max(kind, installed.get("kind", kind), key=_KINDS.index)
        locks = [LOCKS / "build.txt", LOCKS / f"{kind}.txt"]
        inputs = [*locks, ROOT / "pyproject.toml"]
        wanted = {
            "folder": str(folder),
            "kind": kind,
            "inputs": [hashlib.sha256(file.read_bytes()).hexdigest() for file in inputs],
            "packages": sorted(set().union(*map(_packages, locks))),
        }
        if installed != wanted:
            _write(folder, {})  # until all is done it counts as interrupted
            _install(folder, locks, gone=set(installed.get("packages", ())) - set(wanted["packages"]))
            _write(folder, wanted)


def _is_whole(folder: Path) -> bool:
    """Tell whether there is an environment of this Python that was neither moved nor left half made."""
    python = folder / "bin" / "python"
    if not python.exists() or (_stamp(folder).exists() and _installed(folder).get("folder") != str(folder)):
        return False
    show = "import os, sys, pip; print(os.path.realpath(sys.prefix), *sys.version_info[:2], sep='\\n')"
    shown = subprocess.run([python, "-c", show], check=False, capture_output=True, text=True)
    return shown.stdout.splitlines() == [str(folder.resolve()), *map(str, sys.version_info[:2])]


def _create(folder: Path) -> None:
    if folder.exists() and not (folder / "pyvenv.cfg").is_file() and any(folder.iterdir()):
        raise CannotInstallError(
            f"{folder} is neither empty nor a virtual environment: name another with VENV="
        )
    if find_spec("ensurepip") is None:
        raise CannotInstallError(
            f"{sys.executable} has no ensurepip; on Debian and Ubuntu: apt install python3-venv"
        )
    venv.create(folder, clear=True, with_pip=True, symlinks=True)


def _install(folder: Path, locks: list[Path], gone: set[str]) -> None:
    print(f"installing {locks[-1].relative_to(ROOT)} into {folder}", file=sys.stderr, flush=True)
    if gone:
        _pip(folder, "uninstall", "--yes", *sorted(gone))
    # Without isolation, sources are built by what requirements/build.txt names and not by the newest release.
    install = ["install", "--no-deps", "--no-build-isolation"]
    for lock in locks:
        _pip(folder, *install, "--require-hashes", "--requirement", str(lock))
    _pip(folder, *install, "--editable", str(ROOT))


def _pip(folder: Path, *words: str) -> None:
    command = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    if code := subprocess.run(command, check=False).returncode:
        raise CannotInstallError(
            f"pip {words[0]} ended with code {code}: see above; the same command tries again"
        )


def _packages(lock: Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", lock.read_text(encoding="utf-8"), re.MULTILINE))


def _stamp(folder: Path) -> Path:
    return folder / _STAMP


def _installed(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(_stamp(folder).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _write(folder: Path, installed: dict[str, Any]) -> None:
    _stamp(folder).write_text(json.dumps(installed), encoding="utf-8")


if __name__ == "__main__":
    try:
        make_environment(Path(os.path.abspath(sys.argv[1])), sys.argv[2])  # noqa: PTH100 - a link stays a link
    except CannotInstallError as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command begins again")
