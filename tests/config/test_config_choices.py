"""Shorthands: what a string under a group's key may be when it is no option."""

from __future__ import annotations

import pytest

from tests.config.config_kit import BASE, Project


@pytest.mark.parametrize(
    ("choice", "name", "kind"),
    [
        ("small", "org/small", "fake"),
        ("hf:org/name", "org/name", "mistralrs"),
        ("fake:any/thing", "any/thing", "fake"),
    ],
)
def test_model_is_named_in_one_word(project: Project, choice: str, name: str, kind: str) -> None:
    """An option, a hub name, or a name for an engine kind."""
    experiment = project.one(f"model={choice}")

    assert (experiment.model.name, experiment.engine.kind) == (name, kind)


@pytest.mark.parametrize("choice", ["./weights/mine", "weights/mine"])
def test_folder_of_weights_becomes_an_absolute_path(project: Project, choice: str) -> None:
    """A local model is found from the project's root."""
    project.write("weights/mine/config.json", "{}")

    assert project.one(f"model={choice}").model.name == str(project.root / "weights/mine")


def test_name_for_a_server_stays_as_it_is(project: Project) -> None:
    """A served model may be called like a folder."""
    project.write("weights/mine/config.json", "{}")

    assert project.one("model={name: weights/mine}", "engine=fake").model.name == "weights/mine"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("data/sums.jsonl", "jsonl"), ("data/sums.csv", "csv"), ("{path: data/sums.csv}", "csv")],
)
def test_dataset_kind_is_told_from_the_suffix(project: Project, path: str, kind: str) -> None:
    """A path needs nothing else."""
    dataset = project.one(f"dataset={path}").dataset

    assert dataset.kind == kind
    assert dataset.path.startswith(str(project.root))


def test_dataset_option_carries_its_target(project: Project) -> None:
    """An option of conf/dataset/ is its map."""
    assert project.one("dataset=sums").dataset.target == "{{ row.answer }}"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("qa", {"template": "qa"}),
        ("'Say hello'", {"user": "Say hello"}),
        ('"{{ row.question }}"', {"user": "{{ row.question }}"}),
        ("{user: hi, system: be kind}", {"user": "hi", "system": "be kind"}),
    ],
)
def test_prompt_is_a_folder_or_text(project: Project, prompt: str, expected: dict[str, str]) -> None:
    """A string names templates, or is the user's message."""
    assert project.one(f"prompt={prompt}").prompt.model_dump(exclude_unset=True) == expected


def test_prompt_of_one_word_is_a_name(project: Project) -> None:
    """A mistyped folder isn't sent to a model; the message says how to send the word."""
    file = project.file(BASE.replace('"{{ row.question }}"', "hello"))

    message = project.refused(file=file)

    assert message.startswith("prompt (experiments/case.yaml:2): hello is neither a folder of")
    assert "for the text itself write {user: hello}" in message
    assert project.one("prompt={user: hello}", file=file).prompt.user == "hello"
    assert project.one("prompt.user=hello", "prompt={user: b}", file=file).prompt.user == "hello"


@pytest.mark.parametrize(
    ("scorers", "names"),
    [
        ("numeric", ["numeric"]),
        ("[numeric,exact_match]", ["numeric", "exact_match"]),
        ("{right: exact_match, near: {kind: numeric}}", ["right", "near"]),
        ("{numeric: {of: main}, dropped: null}", ["numeric"]),
    ],
)
def test_scorers_are_named_or_mapped(project: Project, scorers: str, names: list[str]) -> None:
    """A name, a list of names, or a map."""
    assert list(project.one(f"scorers={scorers}").scorers) == names


def test_scorer_is_added_and_dropped_by_dotted_key(project: Project) -> None:
    """One scorer changes, the others stay."""
    file = project.file(BASE + "scorers: [numeric, exact_match]\n")

    scorers = project.one(
        "scorers.numeric=null", "scorers.near=numeric", "scorers.near.of=x", file=file
    ).scorers

    assert {name: one.kind for name, one in scorers.items()} == {
        "exact_match": "exact_match",
        "near": "numeric",
    }
    assert scorers["near"].of == "x"


def test_cluster_kind_needs_no_option(project: Project) -> None:
    """A registered kind's name will do."""
    assert project.one("cluster=inline").cluster.kind == "inline"


def test_projects_option_stands_before_the_shipped(project: Project) -> None:
    """The first folder that has an option gives it."""
    project.write("conf/cluster/slurm.yaml", "kind: slurm\npartition: mine\n")

    assert project.one("cluster=slurm").cluster.model_dump()["partition"] == "mine"


def test_option_in_a_subfolder_is_named_with_its_folder(project: Project) -> None:
    """Groups may be sorted into folders."""
    project.write("conf/model/team/ours.yaml", "name: org/ours\nengine: fake\n")

    assert project.one("model=team/ours").model.name == "org/ours"


def test_item_of_a_list_is_set_by_its_index(project: Project) -> None:
    """A dotted key may go through a list."""
    file = project.file(BASE.replace('"{{ row.question }}"', "{turns: [{user: hi}, {generate: first}]}"))

    turns = project.one("prompt.turns.0.user=ho", file=file).prompt.turns

    assert turns is not None
    assert turns[0].user == "ho"


@pytest.mark.parametrize(
    ("called", "kind"),
    [("claude", "anthropic"), ("gemini", "google"), ("grok", "xai"), ("antropic", "anthropic")],
)
@pytest.mark.parametrize("form", ["engine={}", "engine.kind={}", "model={}:name"])
def test_provider_by_the_name_of_its_models_is_told_its_kind(
    project: Project, form: str, called: str, kind: str
) -> None:
    """Wherever a kind may stand; a name that is none of these is told the nearest, as ever."""
    problem = project.refused(form.format(called))

    assert (
        f"there is no {'kind' if '.kind' in form else 'engine'} {called}\n    did you mean {kind}?" in problem
    )
