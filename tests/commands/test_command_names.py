"""Names that are not UTF-8: one message before anything is written, or no trouble at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.commands_kit import FILES
from tests.launch.launch_kit import ROOT

BAD = os.fsdecode(b"\xff")
ARGUMENTS = {
    "command": (BAD,),
    "option": ("run", "--" + BAD),
    "file": ("run", BAD + ".yaml"),
    "override": ("run", "sums.yaml", "model.name=" + BAD),
    "folder of runs": ("run", "sums.yaml", "--runs", "a" + BAD),
    "name of a run": ("status", BAD),
    "folder of runs to look in": ("status", "--runs", BAD),
    "new folder": ("init", BAD),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _filled(tmp_path / "project")


def _filled(folder: Path) -> Path:
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _ran(cwd: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(cwd / "nobody"), **variables}
    command = [sys.executable, "-m", "runner", *words]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_argument_is_refused(root: Path, argument: str) -> None:
    """The message says which one, and shows its bytes."""
    code, out, err = _ran(root, *ARGUMENTS[argument])

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("runner: argument ")
    assert " is not valid UTF-8: " in err
    assert "\\xff" in err
    assert _files(root) == sorted(FILES)


@pytest.mark.parametrize("words", [("run", "sums.yaml"), ("plan", "sums.yaml"), ("status",)])
def test_project_in_such_a_folder_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Nothing is written below it."""
    folder = _filled(tmp_path / BAD)

    code, out, err = _ran(folder, *words)

    assert (code, out) == (2, "")
    assert err == f"runner: the current folder is not valid UTF-8: {tmp_path}/\\xff\n"
    assert _files(folder) == sorted(FILES)


def test_experiment_that_a_link_leads_to_is_refused(root: Path, tmp_path: Path) -> None:
    """What counts is where the file is."""
    target = _filled(tmp_path / BAD)
    (root / "link").symlink_to(target)

    code, _, err = _ran(root, "run", "link/sums.yaml")

    assert (code, err) == (2, f"runner: the project's folder is not valid UTF-8: {tmp_path}/\\xff\n")
    assert _files(target) == sorted(FILES)


@pytest.mark.parametrize("words", [("run", "sums.yaml"), ("status",)])
def test_variable_of_runs_is_refused(root: Path, words: tuple[str, ...]) -> None:
    """As the folder that it names would be."""
    code, _, err = _ran(root, *words, RUNNER_RUNS=BAD)

    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("runner: the folder of runs is not valid UTF-8: ")
    assert _files(root) == sorted(FILES)


@pytest.mark.parametrize("place", ["model.name", "prompt", "sampling.passthrough.a", "dataset.path"])
def test_variable_that_an_experiment_reads_is_refused(root: Path, place: str) -> None:
    """By the place that reads it, and its name."""
    code, _, err = _ran(root, "run", "sums.yaml", f'+{place}="${{oc.env:ODD}} x"', ODD=BAD)

    assert code == 2
    assert f"{place} (command line): " in err
    assert "the environment variable ODD is not valid UTF-8: \\xff" in err
    assert _files(root) == sorted(FILES)


def test_other_variables_do_not_matter(root: Path) -> None:
    """A home, a cache or a secret may have any name."""
    odd = "/tmp/" + BAD

    code, _, err = _ran(root, "run", "sums.yaml", HOME=odd, XDG_CACHE_HOME=odd, A_KEY=odd * 3)

    assert (code, "Traceback" in err) == (0, False)


def test_files_beside_what_is_used_do_not_matter(root: Path) -> None:
    """Where a message lists them, it shows their bytes."""
    for name in ("conf/model", "templates", "data", "."):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / f"{BAD}.yaml").touch()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)

    code, _, err = _ran(root, "run", "sums.yaml")
    unknown, _, told = _ran(root, "run", "sums.yaml", "model=nope")

    assert (code, "Traceback" in err) == (0, False)
    assert (unknown, "\\xff" in told) == (2, True)


def test_folder_that_is_gone_is_one_message(root: Path) -> None:
    """Help and version need none."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = {
        word: subprocess.run(
            ["bash", "-c", script, "bash", sys.executable, "-m", "runner", word],
            cwd=root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        for word in ("status", "--version")
    }

    assert done["status"].returncode == 2
    assert done["status"].stderr == "runner: the current folder no longer exists; change to another one\n"
    assert done["--version"].returncode == 0
