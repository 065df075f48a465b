"""An installed runner, apart from the checkout, and a shell that types what the pages show."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.docs_kit import ROOT

_PIP = ("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")


def install(folder: Path) -> Path:
    """Build the wheel, install it into a new environment, and return the folder of its programs.

    What the wheel depends on is taken from the environment that the tests run in.
    """
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    (packages,) = folder.glob("lib/python*/site-packages")
    base = sysconfig.get_path("purelib")
    (packages / "zz_dependencies.pth").write_text(f"import site; site.addsitedir({base!r})\n")
    done = subprocess.run(
        [programs / "python", *_PIP, "--ignore-installed", ROOT],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    (programs / "pip").write_text(f'#!/bin/sh\nexec "{programs}/python" -m pip --quiet --no-input "$@"\n')
    (programs / "pip").chmod(0o755)
    return programs


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to; ``output`` is what a terminal would show."""

    command: str
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Shell:
    """A new user's shell: nothing in the environment but an installed runner.

    Attributes:
        programs: folder of the installed programs.
        folder: where the user is.
        extra: further variables.
    """

    programs: Path
    folder: Path
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that commands see."""
        home = self.folder.parent / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(home),
            "COLUMNS": "200",
            "PIP_NO_INDEX": "1",
            "LANG": "C.UTF-8",
            **dict(self.extra),
        }

    def type(self, command: str) -> Done:
        """Run a command line and return what it printed."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        return Done(command, done.returncode, done.stdout)


def where(programs: Path) -> Path:
    """Return the folder that the installed package is imported from."""
    done = subprocess.run(
        [programs / "python", "-c", "import runner; print(runner.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=programs,
        env={"PATH": "/usr/bin:/bin"},
    )
    return Path(done.stdout.strip()).parent


def missing(shown: Sequence[str], output: str) -> list[str]:
    """Return the lines of a page that a command didn't print, in the page's order.

    ``...`` stands for any lines. Stamps of runs, hashes, scores of sampled answers, the width of columns and
    where shipped experiments lie may differ; all else is exact.
    """
    printed = [_exact(line) for line in output.splitlines()]
    lacking, at = [], 0
    for line in shown:
        if line.strip() == "...":
            continue
        try:
            at = printed.index(_exact(line), at) + 1
        except ValueError:
            lacking.append(line)
    return lacking


def _exact(line: str) -> str:
    line = re.sub(r"\d{8}T\d{6}-[0-9a-f]{4}", "STAMP", line)
    line = re.sub(r"\b[0-9a-f]{16,}\b", "HASH", line)
    line = re.sub(r"shipped (models|conf)/", r"\1/", line)
    line = re.sub(r"(shipped )?[^\s(]*experiments/(\w+)\.yaml", r"\2", line)
    line = re.sub(r"\b[01]\.\d{3}\b", "SCORE", line)
    return " ".join(re.sub(r"─+|-{3,}", "-", line).split())
