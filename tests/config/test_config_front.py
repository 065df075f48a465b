"""A choice replaces, a key overlays."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config import compose
from runner.errors import ConfigError
from tests.config.config_kit import BASE, Project


def given(project: Project, *overrides: str, file: str | Path = "base") -> dict[str, object]:
    return project.one(*overrides, file=file).sampling.given()


def test_option_on_command_line_replaces_the_files_map(project: Project) -> None:
    """No key of what wasn't chosen survives."""
    assert given(project, "sampling=hot") == {"temperature": 2}


def test_key_on_command_line_overlays_the_files_map(project: Project) -> None:
    """One key changes, the others stay."""
    assert given(project, "sampling.max_tokens=5") == {"temperature": 0, "max_tokens": 5}


def test_map_on_command_line_replaces(project: Project) -> None:
    """A map is the value."""
    assert given(project, "sampling={top_p: 0.5}") == {"top_p": 0.5}


def test_key_is_laid_over_a_choice_wherever_it_stands(project: Project) -> None:
    """The order of overrides within the command line doesn't matter."""
    assert given(project, "sampling.max_tokens=5", "sampling=hot") == {"temperature": 2, "max_tokens": 5}


def test_dotted_key_in_a_file_overlays_the_map_beside_it(project: Project) -> None:
    """`sampling.top_p: 0.5` at the top level is laid over `sampling:`."""
    assert given(project, file=project.file(BASE + "sampling.top_p: 0.5\n")) == {
        "temperature": 0,
        "top_p": 0.5,
    }


def test_later_choice_drops_earlier_dotted_keys(project: Project) -> None:
    """A dotted key goes with the value that it was laid over."""
    project.file(BASE + "sampling.top_p: 0.5\n", "parent")

    assert given(project, file=project.file("extends: parent\nsampling: hot\n")) == {"temperature": 2}


def test_null_resets_a_group(project: Project) -> None:
    """`sampling: null` goes back to the defaults."""
    assert given(project, "sampling=null") == {}


def test_deleted_key_goes_back_to_its_default(project: Project) -> None:
    """`~sampling.temperature` takes one key away."""
    assert given(project, "sampling.top_p=1", "~sampling.temperature") == {"top_p": 1}


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_plus_signs_choose_and_set_alike(project: Project, sign: str) -> None:
    """In a file without `defaults:` there is nothing to append to."""
    assert given(project, f"{sign}sampling=hot", f"{sign}sampling.top_k=3") == {"temperature": 2, "top_k": 3}


def test_option_with_defaults_is_composed(project: Project) -> None:
    """An option may be put together from others of its group."""
    assert given(project, "sampling=warm") == {"temperature": 1, "max_tokens": 8}


def test_nearest_child_wins_along_extends(project: Project) -> None:
    """Each file of a chain overlays what it extends."""
    project.file("extends: base\nsamples: 2\nsampling.top_p: 0.5\n", "middle")
    experiment = project.one(file=project.file("extends: middle\nsamples: 3\n", "leaf"))

    assert experiment.samples == 3
    assert experiment.sampling.given() == {"temperature": 0, "top_p": 0.5}
    assert experiment.name == "leaf"


def test_extends_circle_is_shown(project: Project) -> None:
    """A circle is refused, naming the files in it."""
    project.file("extends: two\n", "one")
    project.file("extends: one\n", "two")

    assert "extend each other in a circle: one -> two -> one" in project.refused(file="one")


def test_model_brings_engine_topology_and_sampling(project: Project) -> None:
    """What a model's option carries lies under the experiment's own."""
    experiment = project.one("model=served", "sampling.top_p=0.5")

    assert experiment.engine.kind == "openai_compatible"
    assert experiment.topology.tensor_parallel_size == 2
    assert experiment.sampling.given() == {"max_tokens": 7, "temperature": 0, "top_p": 0.5}


def test_engine_of_the_same_kind_is_merged_with_the_models(project: Project) -> None:
    """A key of the experiment's engine overlays the model's."""
    engine = project.one("model=served", "engine.timeout=5").engine

    assert (engine.timeout, engine.model_dump()["base_url"]) == (5, "http://localhost:1/v1")


def test_engine_of_another_kind_replaces_the_models(project: Project) -> None:
    """Nothing of the model's engine is left."""
    engine = project.one("model=served", "engine=fake").engine

    assert (engine.kind, engine.timeout) == ("fake", 600)


def test_kind_in_front_of_a_models_name_beats_the_files_engine(project: Project) -> None:
    """`model=KIND:NAME` names both."""
    file = project.file(BASE + "engine: {kind: openai_compatible, base_url: 'http://x/v1'}\n")

    assert project.one("model=fake:any", file=file).engine.kind == "fake"


@pytest.mark.parametrize("engine", ["fake", "{kind: vllm, base_url: 'http://x/v1', args: {seed: 1}}"])
def test_keys_given_with_a_models_kind_are_laid_over_its_engine(project: Project, engine: str) -> None:
    """What the command line gives counts; nothing of the file's engine does."""
    file = project.file(BASE + f"engine: {engine}\n")
    given = ("model=openai_compatible:foo", "engine.base_url=http://127.0.0.1:2/v1")

    experiment = project.one(*given, file=file)

    assert experiment.engine.model_dump(exclude_defaults=True) == {"base_url": "http://127.0.0.1:2/v1"}
    assert f"engine: openai_compatible:foo (command line) replaces {engine[:12]}" in "\n".join(
        project.notes(*given, file=file)
    )
    assert "engine.timeout (command line): -1 given" in project.refused(
        *given, "engine.timeout=-1", file=file
    )


def test_model_without_an_engine_runs_embedded(project: Project) -> None:
    """A hub name needs nothing else."""
    experiment = project.one("model=hf:org/name")

    assert (experiment.model.name, experiment.engine.kind) == ("org/name", "mistralrs")


def test_notes_tell_what_was_replaced(project: Project) -> None:
    """The plan can say what the command line changed."""
    assert project.notes("sampling=hot", "model.dtype=bfloat16") == (
        "sampling: hot (command line) replaces {temperature: 0} (experiments/base.yaml:4)",
    )
    assert project.notes("sampling.temperature=1") == (
        "sampling.temperature: 1 (command line) replaces 0 (experiments/base.yaml:5)",
    )


def test_option_lands_under_another_group_by_package(project: Project) -> None:
    """`group@package=` puts an option's content under that key."""
    project.write("conf/model/settings.yaml", "temperature: 1\n")

    assert given(project, "model@sampling=settings") == {"temperature": 1}


def test_experiment_is_found_by_name_from_any_folder(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up here, in experiments/, then among what ships."""
    assert compose("base").file == project.root / "experiments" / "base.yaml"
    monkeypatch.chdir(tmp_path)
    assert compose("experiments/addition.yaml").points[0].experiment.name == "addition"
    with pytest.raises(ConfigError, match=r"did you mean addition\?"):
        compose("aditon")


def test_composition_names_its_sources_and_places(project: Project) -> None:
    """Everything that was read is known."""
    composition = project.composed("sampling=hot")

    names = {path.name for path in composition.sources}
    assert names == {"base.yaml", "small.yaml", "hot.yaml"}
    assert composition.places.root == project.root
    assert composition.places.runs == project.root / "runs"


def test_yes_is_true_where_a_flag_is_expected(project: Project) -> None:
    """Text such as Yes still answers a yes-or-no question."""
    file = project.file(BASE.replace("data/sums.jsonl", "{path: data/sums.jsonl, shuffle: Yes}"))

    assert project.one(file=file).dataset.shuffle is True


def test_hours_on_a_cluster_stay_text(project: Project) -> None:
    """YAML 1.1 would make 14400 of it, which sbatch reads as minutes."""
    file = project.file(BASE + "cluster: {kind: slurm, time: 4:00:00}\n")

    assert project.one(file=file).cluster.model_dump()["time"] == "4:00:00"
    assert project.one("cluster.time=240", file=file).cluster.model_dump()["time"] == "240"


def test_key_of_a_cluster_overlays_the_default(project: Project) -> None:
    """Jobs run here when nobody names a kind of cluster."""
    for override in ("cluster.devices=[0]", "cluster={devices: [0]}"):
        cluster = project.one(override).cluster

        assert (cluster.kind, cluster.model_dump()["devices"]) == ("local", (0,))


def test_escapes_in_double_quotes_are_read_as_meant(project: Project) -> None:
    """A stop string of two line ends can be given on the command line."""
    assert project.one(r'sampling.stop=["\n\n"]').sampling.stop == ("\n\n",)
