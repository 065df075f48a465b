"""Hydra's own settings are honoured or refused by name, in a file and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import main
from runner.config import compose
from runner.errors import ConfigError
from tests.config.config_kit import BASE, Project

LIST = "defaults: [/model: small, _self_]\n" + BASE.partition("\n")[2]
FILES = {"without defaults": BASE, "with defaults": LIST}
FORMS = [pytest.param(text, id=name) for name, text in FILES.items()]

REFUSED = {
    "hydra.run.dir": ("out", "--runs DIR"),
    "hydra.sweep.dir": ("out", "--runs DIR"),
    "hydra.sweep.subdir": ("out", "--runs DIR"),
    "hydra.launcher.partition": ("gpu", "cluster=local, inline or slurm"),
    "hydra.launcher": ("submitit_slurm", "cluster=local, inline or slurm"),
    "hydra.sweeper.max_batch_size": ("3", "cluster.max_jobs"),
    "hydra.sweeper._target_": ("a.B", "write `sweep:`"),
    "hydra.job.chdir": ("true", "relative paths start at the project root"),
    "hydra.job.env_set.A": ("1", "write cluster.env"),
    "hydra.job.nam": ("a", "did you mean hydra.job.name?"),
    "hydra.job_logging.level": ("DEBUG", "runner logs RUN"),
    "hydra.output_subdir": ("null", "every run folder holds it"),
    "hydra.callbacks.a": ("b", "results.jsonl"),
    "hydra.serchpath": ("[a]", "did you mean hydra.searchpath?"),
    "hydra.verbosity": ("true", "did you mean hydra.verbose?"),
}
WRONG = {
    "hydra.mode": ("SWEEP", "SWEEP given, expected RUN or MULTIRUN"),
    "hydra.verbose": ("[runner]", "expected true or false"),
    "hydra.searchpath": ("nowhere", "nowhere given, expected a list of folders"),
    "hydra.sweeper.params": ("'1,2'", "expected a map of keys to values"),
    "hydra.job": ("name", "name given, expected a map"),
    "hydra": ("3", "3 given, expected a map"),
}


def as_map(key: str, value: str) -> str:
    """Return a dotted key with its value as nested maps."""
    for part in reversed(key.split(".")):
        value = f"{{{part}: {value}}}"
    return value[1:-1] + "\n"


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("key", [*REFUSED, *WRONG])
def test_setting_is_refused_with_its_place_and_what_to_write(project: Project, text: str, key: str) -> None:
    """In maps, as a dotted key and on the command line."""
    value, expected = {**REFUSED, **WRONG}[key]
    line = len(text.splitlines()) + 1

    for written in (as_map(key, value), f"{key}: {value}\n"):
        message = project.refused(file=project.file(text + written))
        assert message.startswith(key)
        assert f"(experiments/case.yaml:{line})" in message
        assert expected in message
    for sign in ("", "+", "++"):
        message = project.refused(f"{sign}{key}={value}", file=project.file(text))
        assert message.startswith(f"{key} (command line)")
        assert expected in message


@pytest.mark.parametrize("text", FORMS)
def test_options_are_found_below_a_searchpath(project: Project, text: str) -> None:
    """After the project's own, before the user's and those that ship; a package's folder too."""
    project.write("more/sampling/cold.yaml", "temperature: 0.1\n")
    project.write("more/sampling/hot.yaml", "temperature: 9\n")
    project.write("more/sampling/creative.yaml", "temperature: 0.3\n")
    listed = project.file(text + "hydra: {searchpath: [more]}\n")

    def temperature(*overrides: str, file: Path) -> object:
        return project.one(*overrides, file=file).sampling.temperature

    assert temperature("sampling=cold", file=listed) == 0.1
    assert temperature("sampling=creative", file=listed) == 0.3
    assert temperature("sampling=hot", file=listed) == 2
    for path in ("more", f"file://{project.root}/more", "${oc.env:PWD}/more"):
        quoted = f"hydra.searchpath=['{path}']"
        if "PWD" not in path:
            assert temperature(quoted, "sampling=cold", file=project.file(text)) == 0.1
    swept = project.axes("hydra.searchpath=[more]", "sampling=glob(co*)", file=listed, multirun=True)
    assert swept == [["cold"]]
    message = project.refused("hydra.searchpath=[nowhere]", file=project.file(text))
    assert message.startswith("hydra.searchpath (command line): there is no folder nowhere")


def test_option_of_a_searchpath_stands_in_a_defaults_list(project: Project) -> None:
    """Hydra reads it through the same door, so that it is among the sources."""
    project.write("more/sampling/cold.yaml", "temperature: 0.1\n")
    text = "defaults: [/model: small, /sampling: cold, _self_]\nhydra.searchpath: [more]\nprompt: qa\n"
    composed = project.composed(file=project.file(text + "dataset: sums\n"))

    assert composed.points[0].experiment.sampling.temperature == 0.1
    assert project.root / "more/sampling/cold.yaml" in composed.sources


@pytest.mark.parametrize("text", FORMS)
def test_mode_asks_for_a_sweep(project: Project, text: str) -> None:
    """MULTIRUN is -m; RUN in a file gives way to it."""
    for file, overrides in (
        (project.file(text + "hydra: {mode: MULTIRUN}\n", "mode"), ()),
        (project.file(text), ("hydra.mode=MULTIRUN",)),
    ):
        assert project.axes("samples=1,2", *overrides, file=file) == [[1], [2]]
    running = project.file(text + "hydra.mode: RUN\n", "run")
    assert "-m was not given" in project.refused("samples=1,2", file=running)
    assert project.axes("samples=1,2", file=running, multirun=True) == [[1], [2]]
    assert "hydra.mode (command line): RUN given, and -m" in project.refused(
        "samples=1,2", "hydra.mode=RUN", file=project.file(text), multirun=True
    )


@pytest.mark.parametrize("text", FORMS)
def test_parameters_of_the_sweeper_are_axes(project: Project, text: str) -> None:
    """In a sweep; what the command gives fixes or replaces them."""
    params = "hydra: {sweeper: {params: {sampling.temperature: '0,1', samples: 'range(1,3)'}}}\n"
    file = project.file(text + params)

    assert project.axes(file=file, multirun=True) == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert project.axes("samples=3", file=file, multirun=True) == [[0], [1]]
    assert project.axes("samples=5,6", "sampling.temperature=1", file=file, multirun=True) == [[5], [6]]
    assert project.axes("hydra.mode=MULTIRUN", "~hydra.sweeper.params.samples", file=file) == [[0], [1]]
    for unset in ("hydra=null", "hydra.sweeper=null", "hydra.sweeper.params=null", "~hydra.sweeper"):
        assert project.axes("samples=5,6", unset, file=file, multirun=True) == [[5], [6]]
    assert project.one(file=file).samples == 1
    assert "not swept; add -m, or write hydra.mode: MULTIRUN" in "\n".join(project.notes(file=file))
    typed = "hydra.sweeper.params={samples: '1,2'}"
    assert project.axes(typed, file=project.file(text), multirun=True) == [[1], [2]]
    assert "nothing is swept\n    add -m" in project.refused(typed, file=project.file(text))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "{samples: [1, 2]}",
            "hydra.sweeper.params.samples (experiments/case.yaml:7): [1, 2] given, expected",
        ),
        ("{sampling: {temperature: '0,1'}}", "write the key with dots: sampling.temperature: ..."),
        ("{smaples: '1,2'}", "hydra.sweeper.params.smaples (experiments/case.yaml:7): smaples is not a key"),
        ("{hydra.job.name: 'a,b'}", "hydra.job.name is not a key that can be swept"),
        ("{samples: 'range(1'}", "hydra.sweeper.params.samples (experiments/case.yaml:7): the value"),
        ("{~samples: '1'}", "hydra.sweeper.params.~samples"),
    ],
)
def test_parameter_that_is_no_axis_is_refused(project: Project, written: str, message: str) -> None:
    """By its place."""
    file = project.file(f"{BASE}hydra.sweeper.params:\n  {written}\n".replace(":\n  {", ": {"))
    assert message.replace(":7)", ":6)") in project.refused(file=file, multirun=True)


def test_axis_in_both_ways_is_refused(project: Project) -> None:
    """`sweep:` and the sweeper's parameters say the same."""
    text = BASE + "sweep: {samples: [1]}\nhydra.sweeper.params: {samples: '1,2'}\n"

    message = project.refused(file=project.file(text), multirun=True)

    assert message.startswith(
        "hydra.sweeper.params.samples (experiments/case.yaml:7): `sweep:` varies it too"
    )


@pytest.mark.parametrize("text", FORMS)
def test_name_of_the_job_is_the_runs(project: Project, text: str) -> None:
    """It is another word for `name`."""
    file = project.file(text + "hydra: {job: {name: sums}}\n")

    assert project.one(file=file).name == "sums"
    assert project.one("hydra.job.name=other", file=file).name == "other"
    assert project.one("name=other", file=file).name == "other"
    assert (
        project.one("hydra.job.name=other", file=project.file(text + "name: mine\n", "named")).name == "other"
    )
    assert project.one("~hydra.job.name", file=file).name == "case"
    assert "both name the run" in project.refused("name=a", "hydra.job.name=b", file=file)
    assert "both name the run" in project.refused("name=a", "hydra={job: {name: b}}", file=file)
    twice = project.file(text + "name: a\nhydra.job.name: b\n", "twice")
    assert "hydra.job.name (experiments/twice.yaml" in project.refused(file=twice)


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("hydra={job: {name: other}}", "other"),
        ("+hydra={job: {name: other}, verbose: true}", "other"),
        ("hydra.job={name: other}", "other"),
        ("hydra={job.name: other}", "other"),
        ("hydra={verbose: true}", "sums"),
        ("~hydra", "case"),
        ("~hydra.job", "case"),
        ("hydra=null", "case"),
        ("hydra.job=null", "case"),
    ],
)
def test_name_of_the_job_is_read_from_a_map(project: Project, text: str, override: str, name: str) -> None:
    """A map on the command line says the same as its keys, as does what takes it back."""
    file = project.file(text + "hydra: {job: {name: sums}}\n")

    assert project.one(override, file=file).name == name


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("key", ["hydra.job.name", "hydra.verbose", "hydra.mode"])
def test_setting_can_not_be_swept(project: Project, text: str, key: str) -> None:
    """Two points would be equal."""
    message = project.refused(f"{key}=a,b", file=project.file(text), multirun=True)

    assert message.startswith(f"{key} (command line): can't be swept")


def test_name_in_the_file_that_is_extended_counts(project: Project) -> None:
    """Its section is a layer like the rest of it."""
    project.file(BASE + "hydra: {job: {name: sums}, mode: MULTIRUN}\n", "parent")
    child = project.file("extends: parent\n", "child")

    assert project.one(file=child).name == "sums"
    assert project.axes("samples=1,2", file=child) == [[1], [2]]
    assert project.one(file=project.file("extends: parent\nname: own\n", "grandchild")).name == "own"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "conf/common.yaml",
            "hydra: {job: {name: a}}\n",
            "hydra (conf/common.yaml:1): Hydra's settings are read",
        ),
        ("conf/common.yaml", "hydra: {run: {dir: a}}\n", "hydra.run.dir (conf/common.yaml:1)"),
        ("conf/common.yaml", "# @package hydra.job\nname: a\n", "# @package hydra.job"),
        ("conf/common.yaml", "defaults: [override /hydra/launcher: basic]\n", "cluster=local"),
    ],
)
def test_settings_in_another_config_are_refused(project: Project, name: str, text: str, message: str) -> None:
    """They are read in the experiment file alone."""
    project.write(name, text)
    file = project.file(LIST.replace("[/model: small", "[/common, /model: small"))

    assert message in project.refused(file=file)


@pytest.mark.parametrize("item", ["override hydra/launcher: submitit_slurm", "/hydra/launcher: basic"])
def test_launcher_in_a_defaults_list_is_refused(project: Project, item: str) -> None:
    """With what chooses where jobs run here."""
    message = project.refused(file=project.file(LIST.replace("_self_", f"{item}, _self_")))

    assert message.startswith("hydra.launcher (experiments/case.yaml:1)")
    assert "cluster=local, inline or slurm" in message


@pytest.mark.parametrize(
    "override", ["hydra/launcher=submitit_slurm", "+hydra/job_logging=none", "~hydra/launcher"]
)
@pytest.mark.parametrize("text", FORMS)
def test_groups_of_hydras_are_refused(project: Project, text: str, override: str) -> None:
    """On the command line, too."""
    message = project.refused(override, file=project.file(text))

    assert message.startswith(f"{override.strip('+~').partition('=')[0].replace('/', '.')} (command line)")


def test_verbose_prints_every_note(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """As --verbose does."""
    many = [f"sampling.logit_bias.{n}=1" for n in range(25)]
    file = project.file(BASE + "sampling.logit_bias: {" + ", ".join(f"{n}: 2" for n in range(25)) + "}\n")
    args = [
        "plan",
        str(file),
        "--no-count",
        "model=openai_compatible:a",
        "engine.base_url=http://h/v1",
        *many,
    ]
    assert main(args) == 0
    assert "more notes: --verbose" in capsys.readouterr().out
    assert main([*args, "hydra.verbose=true"]) == 0
    assert "more notes" not in capsys.readouterr().out
    assert compose(file, ["hydra.verbose=true"]).verbose


def test_all_that_is_wrong_is_told_at_once(project: Project) -> None:
    """With what is wrong elsewhere."""
    text = BASE.replace("small", "smal") + "hydra: {run: {dir: a}, mode: x}\n"

    message = project.refused("hydra.launcher=b", "samples=0", file=project.file(text))

    for place in ("hydra.run.dir (", "hydra.mode (", "hydra.launcher (", "model (", "samples ("):
        assert f"\n{place}" in f"\n{message}"


def test_unhonoured_setting_ends_the_command(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2, and no folder of runs."""
    file = project.file(BASE + "hydra: {run: {dir: out}}\n")

    assert main(["run", str(file)]) == 2
    assert "hydra.run.dir (experiments/case.yaml:6)" in capsys.readouterr().err
    assert not (project.root / "runs").exists()
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir"):
        compose(file)
