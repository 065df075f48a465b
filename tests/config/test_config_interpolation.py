"""`${...}` is resolved as OmegaConf does."""

from __future__ import annotations

import pytest

from tests.config.config_kit import BASE, Project


def test_keys_and_environment_are_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values come from the config and the environment, and what was read is known."""
    monkeypatch.setenv("CONFIG_TEST_HEAT", "0.5")
    file = project.file(
        BASE + "name: of-${samples}\nsamples: 3\nsampling.top_p: ${oc.env:CONFIG_TEST_HEAT}\n"
    )

    composition = project.composed(file=file)

    (point,) = composition.points
    assert (point.experiment.name, point.experiment.sampling.top_p) == ("of-3", 0.5)
    assert composition.env_read == ("CONFIG_TEST_HEAT",)


def test_environment_read_by_an_option_or_an_override_is_known(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a variable is read, its name is kept."""
    monkeypatch.setenv("CONFIG_TEST_ONE", "org/one")
    monkeypatch.setenv("CONFIG_TEST_TWO", "hot")
    project.write("conf/model/env.yaml", "name: ${oc.env:CONFIG_TEST_ONE}\nengine: fake\n")

    composition = project.composed("model=env", "sampling=${oc.env:CONFIG_TEST_TWO}")

    assert set(composition.env_read) == {"CONFIG_TEST_ONE", "CONFIG_TEST_TWO"}
    assert composition.points[0].experiment.sampling.temperature == 2


def test_escaped_dollar_is_literal(project: Project) -> None:
    """A backslash keeps `${` as text."""
    file = project.file(BASE.replace('"{{ row.question }}"', "'costs \\${5}'"))

    assert project.one(file=file).prompt.user == "costs ${5}"


@pytest.mark.parametrize("text", ["${nothing.here}", "${oc.env:CONFIG_TEST_UNSET}", "${{ row.price }}"])
def test_unresolvable_text_tells_how_to_write_it_literally(project: Project, text: str) -> None:
    """The fault has its place and the way out."""
    file = project.file(BASE.replace('"{{ row.question }}"', f"'costs {text}'"))

    message = project.refused(file=file)

    assert message.startswith("prompt")
    assert "(experiments/case.yaml:2)" in message
    assert "write \\${ for a literal ${" in message


def test_circle_of_interpolations_is_a_fault(project: Project) -> None:
    """Two keys that mean each other end in a message."""
    file = project.file(BASE + "name: ${task}\ntask: ${name}\n")

    assert "can't be resolved" in project.refused(file=file)


def test_secret_does_not_reach_a_message(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages and notes show what was written, not what it came to."""
    monkeypatch.setenv("CONFIG_TEST_KEY", "sk-secret")
    file = project.file(
        BASE
        + "sampling.top_p: ${oc.env:CONFIG_TEST_KEY}\n"
        + "engine: {kind: openai_compatible, base_url: '${oc.env:CONFIG_TEST_KEY}'}\n"
        + "scorers: {one: {kind: '${oc.env:CONFIG_TEST_KEY}'}}\n"
        + "cache: ${oc.env:CONFIG_TEST_KEY}\n"
    )

    message = project.refused("dataset=data/${oc.env:CONFIG_TEST_KEY}.jsonl", file=file)

    assert "${oc.env:CONFIG_TEST_KEY}" in message
    assert "sk-secret" not in message


@pytest.mark.parametrize("key", ["model", "engine", "prompt", "dataset", "sampling", "cluster", "scorers"])
def test_secret_in_a_choice_does_not_reach_a_message(
    project: Project, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A choice that comes to nothing is shown as written."""
    monkeypatch.setenv("CONFIG_TEST_KEY", "sk-secret")

    message = project.refused(f"{key}=${{oc.env:CONFIG_TEST_KEY}}")

    assert f"{key} (command line): ${{oc.env:CONFIG_TEST_KEY}} comes to nothing" in message
    assert "secret" not in message


def test_secret_in_a_path_does_not_reach_a_message(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that isn't there is shown as written."""
    monkeypatch.setenv("CONFIG_TEST_KEY", "sk-secret")

    message = project.refused("dataset=data/${oc.env:CONFIG_TEST_KEY}/x.jsonl", "engine=mistralrs")

    assert "no file data/${oc.env:CONFIG_TEST_KEY}/x.jsonl" in message
    assert "secret" not in message


def test_value_of_the_environment_is_not_resolved_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a variable holds is text, whatever it looks like."""
    monkeypatch.setenv("CONFIG_TEST_TEXT", "pay ${samples} now")

    assert project.one("prompt=${oc.env:CONFIG_TEST_TEXT}").prompt.user == "pay ${samples} now"
