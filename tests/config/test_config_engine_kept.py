"""What a file says of its engine, where a model of the same kind or of another takes its place."""

from __future__ import annotations

from typing import Any

import pytest

from runner.config.engine_kept import EVERY_KIND
from runner.config.keys import GROUPS
from runner.engines.registry import engine_kinds
from runner.spec.engine import EngineSettings
from tests.config.config_kit import BASE, Project

COMMON = {"timeout": 9.0, "max_attempts": 2, "concurrency": 3, "stream": True}
ADDRESS = {"base_url": "http://own:1/v1", "api_key_env": "OWN_KEY", "max_response_bytes": 5_000_000}
OWN = (
    "engine: {kind: openai_compatible, timeout: 9, max_attempts: 2, concurrency: 3, stream: true, "
    "base_url: 'http://own:1/v1', api_key_env: OWN_KEY, max_response_bytes: 5000000}\n"
)
WITHOUT_KIND = OWN.replace("kind: openai_compatible, ", "")
DOTTED = "".join(f"engine.{one.strip()}\n" for one in OWN.partition("{")[2].rstrip("}\n").split(", "))

BODY = BASE.partition("\n")[2]
FILES = {
    "a map": "model: {name: first}\n" + BODY + OWN,
    "a map without a kind": "model: openai_compatible:first\n" + BODY + WITHOUT_KIND,
    "dotted keys": "model: {name: first}\n" + BODY + DOTTED,
    "an option": "model: {name: first}\n" + BODY + "engine: own\n",
    "a defaults list": "defaults: [/sampling: greedy, _self_]\nmodel: {name: first}\n" + BODY + OWN,
    "a kind in a defaults list": "defaults: [/model: first, _self_]\n" + BODY + WITHOUT_KIND,
}
PLACES = ("command line", "-m", "sweep", "extends", "option file")


def engine_of(project: Project, file: str, place: str, kind: str, form: str) -> dict[str, Any]:
    """Return the engine of a model of a *kind* that is given in a *place* over a *file*."""
    brings = kind if form == "name" else f"{{kind: {kind}}}"
    project.write("conf/model/second.yaml", f"name: second\nengine: {{kind: {kind}}}\n")
    project.write("conf/model/first.yaml", "name: first\nengine: openai_compatible\n")
    project.write("conf/engine/own.yaml", OWN.partition("{")[2].rstrip("}\n").replace(", ", "\n"))
    word = f"{kind}:second" if form == "name" else f"{{name: second, engine: {brings}}}"
    text = FILES[file]
    if place == "extends":
        project.file(text, "parent")
        (point,) = project.composed(file=project.file(f"extends: parent\nmodel: {word}\n")).points
    elif place == "sweep":
        point = project.composed(file=project.file(f"{text}sweep: {{model: [{word}, {word}]}}\n")).points[0]
    elif place == "-m":
        points = project.composed(f"model={word},{word}", file=project.file(text), multirun=True).points
        point = points[0]
    else:
        given = "second" if place == "option file" else word
        (point,) = project.composed(f"model={given}", file=project.file(text)).points
    assert point.experiment.model.name == "second"
    return point.experiment.engine.model_dump(exclude_defaults=True) | {"kind": point.experiment.engine.kind}


@pytest.mark.parametrize("form", ["name", "map"])
@pytest.mark.parametrize(
    ("file", "place"),
    [
        (file, place)
        for file in FILES
        for place in PLACES
        if place != "extends" or not FILES[file].startswith("defaults")  # which can't be extended
    ],
)
def test_same_kind_keeps_all_and_another_what_every_kind_has(
    project: Project, file: str, place: str, form: str
) -> None:
    """One rule, wherever the model is given and however the file gives its engine."""
    same = engine_of(project, file, place, "openai_compatible", form)
    other = engine_of(project, file, place, "fake", form)
    provider = engine_of(project, file, place, "openai", form)

    assert same == {"kind": "openai_compatible", **COMMON, **ADDRESS}
    assert other == {"kind": "fake", **COMMON}
    assert provider == {"kind": "openai", **COMMON}


def test_every_kind_has_what_is_kept() -> None:
    """The settings that the rule names are those of the type, and of all kinds."""
    assert {*EVERY_KIND} >= set(EngineSettings.model_fields) - {"kind"}
    for kind in engine_kinds().values():
        assert set(EVERY_KIND) <= set(kind.settings.model_fields), kind.name
    assert "engine" in GROUPS


def test_rule_holds_along_a_chain_of_files(project: Project) -> None:
    """An address that one kind left behind doesn't come back with a third model."""
    project.file("model: openai_compatible:a\n" + BODY + WITHOUT_KIND, "one")
    project.file("extends: one\nmodel: fake:b\nengine.latency: 1\n", "two")
    project.file("extends: two\nmodel: openai:c\n", "three")
    engine = project.one("model=openai:d", "engine.timeout=4", file="three").engine

    assert engine.model_dump(exclude_defaults=True) == {**COMMON, "timeout": 4.0}


def test_engine_beside_or_after_a_model_is_the_experiments_word(project: Project) -> None:
    """An explicit kind in the same layer or a later one replaces the model's."""
    file = project.file("model: {name: a}\n" + BODY + OWN)

    assert (
        project.one("model=openai:b", "engine=fake", file=file).engine.model_dump(exclude_defaults=True) == {}
    )
    assert (
        project.one("engine=fake", file=project.file("model: openai:b\n" + BODY + OWN)).engine.kind == "fake"
    )
    assert project.one(file=project.file("model: fake:b\n" + BODY + OWN)).engine.kind == "openai_compatible"


def test_settings_of_the_layer_of_the_model_count(project: Project) -> None:
    """They are meant for its engine."""
    file = project.file("model: {name: a}\n" + BODY + OWN)
    engine = project.one("model=fake:b", "engine.latency=1", "~engine.timeout", file=file).engine

    assert engine.model_dump(exclude_defaults=True) == {
        **{key: value for key, value in COMMON.items() if key != "timeout"},
        "latency": 1.0,
    }


def test_what_is_left_behind_may_be_deleted(project: Project) -> None:
    """A deletion means every point of a sweep; in some of them the rule was first."""
    file = project.file("model: {name: a}\n" + BODY + OWN)
    models = "model=fake:a,openai_compatible:b"

    first, second = project.composed(models, "~engine.api_key_env", file=file, multirun=True).points

    assert first.experiment.engine.model_dump(exclude_defaults=True) == COMMON
    assert second.experiment.engine.model_dump()["api_key_env"] is None


def test_model_without_an_engine_leaves_the_kind_of_the_last_models(project: Project) -> None:
    """`hf:` names weights; an address of the server that the last model brought is none of theirs."""
    file = project.file("model: openai_compatible:first\n" + BODY + WITHOUT_KIND)

    engine = project.one("model=hf:org/name", file=file).engine

    assert engine.model_dump(exclude_defaults=True) == COMMON
    assert engine.kind == "mistralrs"


def test_what_a_layer_replaced_does_not_come_back(project: Project) -> None:
    """Only the engine that counted before the model gives what is kept."""
    project.file("model: {name: a}\n" + BODY + OWN, "one")
    project.file("extends: one\nengine: {kind: vllm, max_attempts: 1}\n", "two")

    engine = project.one("model=fake:b", file="two").engine

    assert engine.model_dump(exclude_defaults=True) == {"max_attempts": 1}


def test_option_that_builds_on_another_follows_the_rule(project: Project) -> None:
    """In a file with a defaults list, too."""
    project.write("conf/model/built.yaml", "defaults: [small]\nname: built\n")
    for text in ("model: {name: a}\n" + BODY, "defaults: [/model: served, _self_]\n" + BODY):
        engine = project.one("model=built", file=project.file(text + OWN)).engine
        assert (engine.kind, engine.model_dump(exclude_defaults=True)) == ("fake", COMMON)


def test_kind_is_the_models_and_what_is_kept_the_files(project: Project) -> None:
    """As a plan says."""
    (point,) = project.composed("model=fake:b", file=project.file("model: {name: a}\n" + BODY + OWN)).points

    assert point.source("engine.kind") == "command line"
    assert point.source("engine.timeout") == "experiments/case.yaml:6"
    (same,) = project.composed(file=project.file(FILES["a map without a kind"])).points
    assert same.source("engine.kind") == "experiments/case.yaml:1"
    assert same.source("engine.timeout") == "experiments/case.yaml:6"


def test_plan_tells_what_was_left_behind(project: Project) -> None:
    """And what was kept."""
    file = project.file("model: {name: a}\n" + BODY + "engine: {kind: vllm, timeout: 9, args: {seed: 1}}\n")

    assert project.notes("model=fake:b", file=file)[0] == (
        "engine: fake:b (command line) replaces {kind: vllm, timeout: 9, args: {seed: 1}} "
        "(experiments/case.yaml:6); kept: timeout"
    )
