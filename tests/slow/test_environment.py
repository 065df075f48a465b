"""The environment that make sets up: what the locks name, whatever became of it before."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slow.slow_kit import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "small"
version = "1.0"
classifiers = [
{pythons}
]

[tool.hatch.build.targets.wheel]
packages = ["small"]
"""


def _locked(*packages: str) -> str:
    """Return what the lock of the project says of some packages."""
    blocks = re.split(r"(?m)^(?=[a-z])", (ROOT / "requirements" / "dev.txt").read_text())
    return "".join(next(one for one in blocks if one.startswith(f"{package}==")) for package in packages)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of a small project, with a blank in its path."""
    folder = tmp_path / "a checkout"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "__init__.py").touch()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    pythons = re.findall(r'.*"Programming Language :: Python :: 3\..*', (ROOT / "pyproject.toml").read_text())
    (folder / "pyproject.toml").write_text(PROJECT.format(pythons="\n".join(pythons)))
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "build.txt", folder / "requirements")
    (folder / "requirements" / "run.txt").write_text(_locked("argcomplete"))
    (folder / "requirements" / "dev.txt").write_text(_locked("argcomplete", "iniconfig"))
    return folder


def _start(checkout: Path, *words: str) -> subprocess.Popen[str]:
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "VENV"}
    return subprocess.Popen(
        ["make", "--silent", *words],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name not in hidden},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _make(checkout: Path, kind: str, *words: str) -> str:
    """Set an environment up; return what was printed."""
    process = _start(checkout, f"{kind}-environment", f"PYTHON={sys.executable}", *words)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def _packages(checkout: Path, venv: str = ".venv") -> set[str]:
    command: list[str | Path] = [
        checkout / venv / "bin" / "pip",
        "list",
        "--format=freeze",
        "--disable-pip-version-check",
    ]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.partition("==")[0] for line in listed.splitlines()} & {
        "argcomplete",
        "iniconfig",
        "mdurl",
        "small",
    }


def test_locks_are_installed_once_and_followed(checkout: Path) -> None:
    """A second call does nothing, the tests' packages stay, and what a new lock leaves out is removed."""
    _make(checkout, "run")
    first = _packages(checkout)
    again = _make(checkout, "run")
    _make(checkout, "dev")
    more = _packages(checkout)
    less = _make(checkout, "run")
    for name, packages in {"run": ("mdurl",), "dev": ("mdurl", "iniconfig")}.items():
        (checkout / "requirements" / f"{name}.txt").write_text(_locked(*packages))
    _make(checkout, "run")

    assert first == {"argcomplete", "small"}
    assert more == {"argcomplete", "iniconfig", "small"}
    assert (again, less) == ("", "")
    assert _packages(checkout) == {"mdurl", "iniconfig", "small"}


def test_interrupted_installation_begins_again(checkout: Path) -> None:
    """What pip had written by then may be half a package, so none of it is trusted."""
    process = _start(checkout, "run-environment", f"PYTHON={sys.executable}")
    assert process.stdout is not None
    assert any("installing" in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()
    trace = checkout / ".venv" / "trace"
    trace.touch()
    _make(checkout, "run")

    assert process.returncode != 0
    assert not trace.exists()
    assert _packages(checkout) == {"argcomplete", "small"}


def test_environment_that_was_moved_or_lost_its_python_is_made_anew(checkout: Path) -> None:
    """The programs in it name the place of their interpreter."""
    _make(checkout, "run", "VENV=an environment")
    moved = checkout.rename(checkout.with_name("moved"))
    _make(moved, "run", "VENV=an environment")
    after = _packages(moved, "an environment")
    python = moved / "an environment" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    _make(moved, "run", "VENV=an environment")

    assert after == _packages(moved, "an environment") == {"argcomplete", "small"}


def test_folder_of_something_else_is_left_alone(checkout: Path) -> None:
    """One line says so."""
    (checkout / "thesis").mkdir()
    (checkout / "thesis" / "chapter").touch()
    process = _start(checkout, "run-environment", f"PYTHON={sys.executable}", "VENV=thesis")
    printed, _ = process.communicate()

    assert process.returncode != 0
    assert printed.splitlines()[0].endswith(
        "thesis is neither empty nor a virtual environment: name another with VENV="
    )
    assert (checkout / "thesis" / "chapter").exists()


@pytest.mark.parametrize(
    ("python", "what"), [("/nowhere/python3", "not a Python that runs"), ("false", "not a Python")]
)
def test_other_python_is_refused_in_one_line(checkout: Path, python: str, what: str) -> None:
    """It says what was named, and which ones can be used."""
    process = _start(checkout, "run-environment", f"PYTHON={python}")
    printed, _ = process.communicate()
    line = printed.splitlines()[0]

    assert process.returncode != 0
    assert line.startswith("Python 3.11, 3.12, ")
    assert f"{python} is {what}" in line
    assert not (checkout / ".venv").exists()
