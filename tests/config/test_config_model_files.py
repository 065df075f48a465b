"""Where a model's chat template and tokenizer are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.config_kit import Project

ADAPTED = ("engine=vllm",)


@pytest.mark.parametrize("field", ["chat_template", "tokenizer"])
def test_model_file_is_relative_to_the_project_root(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, field: str
) -> None:
    """The folder that the command is typed in has no say, as for a dataset."""
    path = project.write("chat/mine.j2", "{{ messages }}")
    monkeypatch.chdir(tmp_path)

    assert getattr(project.one(f"model.{field}=chat/mine.j2").model, field) == str(path)


def test_tokenizer_may_be_a_folder(project: Project) -> None:
    """As a model's weights are."""
    path = project.write("weights/tok/tokenizer.json", "{}")

    assert project.one("model.tokenizer=weights/tok").model.tokenizer == str(path.parent)


def test_tokenizer_may_be_a_hub_name(project: Project) -> None:
    """What is no file here is the hub's."""
    assert project.one("model.tokenizer=org/tok").model.tokenizer == "org/tok"


@pytest.mark.parametrize(
    ("override", "fault", "hint"),
    [
        (
            "model.chat_template=chat/mime.j2",
            "model.chat_template (command line): no file chat/mime.j2 (looked in ",
            "did you mean mine.j2?",
        ),
        (
            "model.chat_template=chat",
            "model.chat_template (command line): no file chat (looked in ",
            "known: ",
        ),
        (
            "model.tokenizer=chat/mime.j2",
            "model.tokenizer (command line): chat/mime.j2 is neither a folder or file (looked in ",
            "did you mean mine.j2?",
        ),
        (
            "model.tokenizer=./tok",
            "model.tokenizer (command line): ./tok is neither a folder or file (looked in ",
            "nor a hub name such as ORG/NAME",
        ),
    ],
)
def test_model_file_that_is_not_there_is_a_fault(
    project: Project, override: str, fault: str, hint: str
) -> None:
    """Named with where it was looked for, and the nearest that is there."""
    project.write("chat/mine.j2", "{{ messages }}")

    message = project.refused(override)

    assert message.startswith(fault)
    assert hint in message


def test_all_files_that_are_not_there_are_told_together(project: Project) -> None:
    """One look at the config is enough to mend it."""
    message = project.refused("model.chat_template=no.j2", "model.tokenizer=./no", "dataset.path=no.jsonl")

    places = [line.split()[0] for line in message.splitlines() if not line.startswith(" ")]
    assert places == ["dataset.path", "model.chat_template", "model.tokenizer"]


@pytest.mark.parametrize("key", ["dataset.limit", "dataset.offset", "sampling.top_k", "max_errors"])
def test_number_too_large_to_count_with_is_a_fault(project: Project, key: str) -> None:
    """Neither JSON nor SQLite holds it."""
    message = project.refused(f"{key}={10**20}")

    assert message == f"{key} (command line): too large: whole numbers go up to 9223372036854775807"


def test_timeout_beyond_any_clock_is_a_fault(project: Project) -> None:
    """A bound that no timer overflows."""
    assert (
        "engine.timeout (command line): 1.0e+300 given, expected a number above 0 and of at most 1000000"
        in (project.refused("engine.timeout=1e300"))
    )


def adapter(project: Project, folder: str, base: str | None = None) -> str:
    """Write a LoRA's folder, and return where it is."""
    told = "{}" if base is None else f'{{"base_model_name_or_path": "{base}"}}'
    return str(project.write(f"{folder}/adapter_config.json", told).parent)


def test_adapter_is_relative_to_the_project_root(project: Project) -> None:
    """Or a hub name, where no such folder is."""
    folder = adapter(project, "loras/mine")

    assert project.one("model.adapter=loras/mine", *ADAPTED).model.adapter == folder
    assert project.one("model.adapter=org/lora", *ADAPTED).model.adapter == "org/lora"


def test_folder_of_an_adapter_stands_for_its_base_model_with_it_on_top(project: Project) -> None:
    """The base as the adapter names it: a folder of the project's, or a hub name."""
    weights = project.write("weights/base/config.json", "{}").parent
    local = adapter(project, "loras/mine", "weights/base")
    hub = adapter(project, "loras/other", "org/base")

    mine = project.one("model.name=loras/mine", *ADAPTED).model
    assert (mine.name, mine.adapter) == (str(weights), local)
    other = project.one("model.name=loras/other", *ADAPTED).model
    assert (other.name, other.adapter) == ("org/base", hub)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "model.adapter=loras/mime",
            "model.adapter (command line): loras/mime is neither a folder (looked in ",
        ),
        ("model.adapter=loras/mime", "did you mean mine?"),
        ("model.name=loras/odd", "is an adapter of /no/such, which is neither a folder here nor a hub name"),
    ],
)
def test_adapter_that_is_not_there_is_a_fault(project: Project, override: str, fault: str) -> None:
    """With the nearest name, and so is one whose base isn't."""
    adapter(project, "loras/mine")
    adapter(project, "loras/odd", "/no/such")

    assert fault in project.refused(override, *ADAPTED)


def test_adapter_on_an_adapter_is_a_fault(project: Project) -> None:
    """One at a time."""
    adapter(project, "loras/mine", "org/base")

    assert "is an adapter itself, of org/base" in project.refused(
        "model.name=loras/mine", "model.adapter=org/lora", *ADAPTED
    )
