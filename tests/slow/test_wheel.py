"""The wheel alone is enough: installed outside the checkout, it makes a first experiment and runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.slow.slow_kit import ROOT

OWN_ENGINE = Path(__file__).with_name("own_engine")
_INSTALL = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
"""What is installed is what the locks name, whatever was released since."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _run(*command: object, cwd: Path) -> str:
    """Run a command as a user would, with nothing of the checkout in its environment."""
    hidden = {"PYTHONPATH", "RUNNER_RUNS", "VIRTUAL_ENV"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=env | {"COLUMNS": "200", "XDG_CONFIG_HOME": str(cwd / "nobody")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Yield the programs of a new environment with the wheel and its embedded engine."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder / "dist",
        ROOT,
        cwd=folder,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    for lock in ("build.txt", "run.txt"):
        words = ["--require-hashes", "-r", ROOT / "requirements" / lock]
        _run(programs / "python", *_INSTALL, *words, cwd=folder)
    _run(programs / "python", *_INSTALL, f"{wheel}[embedded]", cwd=folder)
    return programs


def test_installed_packages_fit_together(installed: Path, tmp_path: Path) -> None:
    """The locked versions are what the wheel requires, they go together, and nothing is of the checkout."""
    _run(installed / "python", "-m", "pip", "check", cwd=tmp_path)
    where = _run(installed / "python", "-c", "import runner; print(runner.__file__)", cwd=tmp_path)

    assert Path(where.strip()).is_relative_to(installed.parent)


def test_first_experiment_runs(installed: Path, tmp_path: Path) -> None:
    """``runner init`` writes what ``runner run`` runs; the second time nothing is asked."""
    _run(installed / "runner", "init", "demo", cwd=tmp_path)
    first = _run(installed / "runner", "run", "demo/experiment.yaml", cwd=tmp_path)
    second = _run(installed / "runner", "run", "demo/experiment.yaml", cwd=tmp_path)

    assert "complete: 20 requests" in first
    assert "100 % cached, 0 requests" in second
    assert len(list((tmp_path / "demo" / "runs").glob("*/*/points/*/results.jsonl"))) == 2


def test_shipped_experiment_runs_by_its_name(installed: Path, tmp_path: Path) -> None:
    """From an empty folder: config groups, templates, data and the tiny model are in the wheel."""
    first = _run(installed / "runner", "run", "addition", "dataset.limit=20", cwd=tmp_path)
    second = _run(installed / "runner", "run", "addition", "dataset.limit=20", cwd=tmp_path)

    assert "complete: 20 requests" in first
    assert "100 % cached, 0 requests" in second
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_shipped_folders_are_found(installed: Path, tmp_path: Path) -> None:
    """Each of them lies in the package, whole."""
    show = "from runner.shipped import shipped; print(shipped())"
    place = Path(_run(installed / "python", "-c", show, cwd=tmp_path).strip())
    for name in ("conf", "experiments", "templates", "data", "models/tiny"):
        found = place / name
        there = {str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()}
        tracked = subprocess.run(
            ["git", "-C", ROOT / name, "ls-files"], capture_output=True, text=True, check=True
        ).stdout.split()
        assert found.is_relative_to(installed.parent)
        assert set(tracked) <= there
    assert (place / "docs" / "schema.json").is_file()


def test_package_of_a_users_own_adds_an_engine(installed: Path, tmp_path: Path) -> None:
    """Its entry point is enough: the engine is validated, planned, run and listed like any other."""
    _run(installed / "python", *_INSTALL, OWN_ENGINE, cwd=tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"q": "hello", "a": "HELLO?"}\n')
    (tmp_path / "own.yaml").write_text(
        "model: {name: any}\n"
        "engine: {kind: shout, ending: '?'}\n"
        'prompt: "{{ row.q }}"\n'
        "dataset: {path: rows.jsonl, target: '{{ row.a }}'}\n"
        "scorers: [exact_match]\n"
    )
    ran = _run(installed / "runner", "run", "own.yaml", cwd=tmp_path)
    doctor = _run(installed / "runner", "doctor", cwd=tmp_path)
    schema = _run(installed / "runner", "schema", cwd=tmp_path)

    assert "1.000" in ran
    assert "answers in capitals" in doctor
    assert "What every answer ends in." in schema
