"""Everything that ships composes, alone and with every option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from runner.config import compose
from runner.config.keys import GROUPS
from runner.errors import ConfigError
from runner.places import Places
from runner.shipped import shipped

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted(path.stem for path in (shipped() / "experiments").glob("*.yaml"))
OPTIONS = sorted(
    (group, path.stem) for group in GROUPS for path in (shipped() / "conf" / group).glob("*.yaml")
)
SHIPPED = [*(shipped() / "experiments").glob("*.yaml"), *(shipped() / "conf").rglob("*.yaml")]
NEEDED = {"openai_compatible": ["engine.base_url=http://localhost:8000/v1"]}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_shipped_experiment_composes(name: str) -> None:
    """Each experiment is found by its name and is valid as it is."""
    points = compose(name).points

    assert {point.experiment.name for point in points} == {name}
    assert Path(points[0].experiment.model.name) == shipped() / "models" / "tiny"
    assert Path(points[0].experiment.dataset.path).is_file()


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_shipped_option_can_be_chosen(group: str, name: str) -> None:
    """Each option is valid in the shipped experiment."""
    choice = f"[{name}]" if group == "scorers" else name

    assert compose("addition", [f"{group}={choice}", *NEEDED.get(name, [])]).points


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.relative_to(shipped()).as_posix())
def test_shipped_yaml_says_what_it_is(file: Path) -> None:
    """The first comment tells, and a modeline names the schema."""
    lines = file.read_text().splitlines()

    assert lines[0].startswith("# ")
    assert any(line.startswith("# yaml-language-server: $schema=") for line in lines[:4])


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.relative_to(shipped()).as_posix())
def test_modeline_names_what_a_wheel_holds(file: Path) -> None:
    """The schema lies in the same place relative to the file, in a checkout and in the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    places = {ROOT / source: Path(target) for source, target in packed.items()}
    folder = next(source for source in places if file.is_relative_to(source))
    named = re.search(r"\$schema=([^#\s]+)", file.read_text())

    assert named is not None
    target = Path(os.path.normpath(places[folder] / file.parent.relative_to(folder) / named[1]))
    assert (file.parent / named[1]).is_file()
    assert target == places[ROOT / "docs" / "schema.json"]


def test_temperature_sweeps_one_model() -> None:
    """The shipped sweep is four points that share a model and an engine."""
    points = compose("temperature").points

    assert [point.axes for point in points] == [{"sampling.temperature": heat} for heat in (0, 1, 2, 3)]
    assert len({(point.experiment.model, point.experiment.engine) for point in points}) == 1


def test_plain_experiment_equals_the_short_one() -> None:
    """The same experiment written as a Hydra file is the same experiment."""
    plain, short = (compose(name).points[0].experiment for name in ("hydra", "addition"))

    assert plain.model_copy(update={"name": "addition"}) == short


def test_file_without_a_defaults_list_needs_no_hydra() -> None:
    """Composing it loads neither Hydra nor OmegaConf, so that the command starts fast."""
    code = (
        "import sys; from runner.config import compose; compose('addition'); "
        "print([name for name in ('hydra', 'omegaconf') if name in sys.modules])"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def test_runs_go_where_they_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--runs counts before RUNNER_RUNS, which counts before the root's runs/."""
    file = tmp_path / "one.yaml"
    monkeypatch.delenv("RUNNER_RUNS", raising=False)

    assert Places.of(file).runs == tmp_path / "runs"
    monkeypatch.setenv("RUNNER_RUNS", str(tmp_path / "elsewhere"))
    assert Places.of(file).runs == tmp_path / "elsewhere"
    assert Places.of(file, tmp_path / "told").runs == tmp_path / "told"


def test_shipped_experiment_runs_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no project's file: its runs lie where one is, or in the project around."""
    monkeypatch.delenv("RUNNER_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert compose("addition").places.runs == tmp_path / "runs"

    (tmp_path / "conf").mkdir()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert compose("addition").places.runs == tmp_path / "runs"


def test_unknown_experiment_names_each_folder_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout the project's experiments are those that ship."""
    monkeypatch.chdir(shipped())

    with pytest.raises(ConfigError) as caught:
        compose("nosuch")

    assert str(caught.value).count(str(shipped() / "experiments")) == 1
