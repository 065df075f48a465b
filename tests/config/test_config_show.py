"""Showing how a file composes, completing overrides, and the schema for editors."""

from __future__ import annotations

import pytest
import yaml

from runner.config import completions, defaults_info, json_schema, raw_config
from runner.config.keys import GROUPS
from runner.errors import ConfigError
from tests.config.config_kit import BASE, Project

PLAIN = "defaults: [{/model: small}, {/sampling: warm}, _self_]\nprompt: qa\ndataset: data/sums.jsonl\n"


def test_config_is_shown_as_composed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpolations stay until they are asked for; axes stand under `sweep`."""
    monkeypatch.setenv("CONFIG_TEST_NAME", "shown")
    file = project.file(BASE + "name: ${oc.env:CONFIG_TEST_NAME}\nsweep: {samples: [1, 2]}\n")

    kept = yaml.safe_load(raw_config(file, ["sampling.top_k=3"], resolve=False))
    resolved = yaml.safe_load(raw_config(file, ["sampling.top_k=3"], resolve=True))

    assert kept["sampling"] == {"temperature": 0, "top_k": 3}
    assert kept["engine"] == {"kind": "fake"}
    assert kept["sweep"] == {"samples": [1, 2]}
    assert (kept["name"], resolved["name"]) == ("${oc.env:CONFIG_TEST_NAME}", "shown")


def test_config_that_does_not_compose_is_refused(project: Project) -> None:
    """Showing has the same faults as running."""
    with pytest.raises(ConfigError, match="did you mean hot"):
        raw_config(project.file(BASE), ["sampling=hto"], resolve=False)


def test_layers_and_choices_are_shown_in_order(project: Project) -> None:
    """What was laid over what, and where each choice was made."""
    shown = defaults_info(project.file("extends: base\n"), ["sampling=hot"]).splitlines()

    assert shown[1:4] == [
        "1      experiments/base.yaml",
        "2      experiments/case.yaml",
        "3      command line           sampling=hot",
    ]
    assert ["sampling", "hot", "conf/sampling/hot.yaml", "command", "line"] in [
        line.split() for line in shown
    ]


def test_defaults_list_of_a_plain_file_is_hydras(project: Project) -> None:
    """Options are listed in the order in which Hydra merges them."""
    rows = [line.split() for line in defaults_info(project.file(PLAIN), ["model=served"]).splitlines()]

    assert rows[1:] == [
        ["model/served", "model", "case"],
        ["sampling/greedy", "sampling", "sampling/warm"],
        ["sampling/warm", "sampling", "case"],
        ["case", "<root>"],
    ]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("sampl", ["sampling=", "samples=", "sampling."]),
        ("sampling=", ["sampling=creative", "sampling=greedy", "sampling=hot", "sampling=warm"]),
        ("sampling.temp", ["sampling.temperature="]),
        ("++sampling=h", ["++sampling=hot"]),
        ("engine=fa", ["engine=fake"]),
        ("engine.base", ["engine.base_url="]),
        ("prompt=q", ["prompt=qa"]),
        ("scorers=[numeric,e", ["scorers=[numeric,exact_match"]),
        ("model=small,se", ["model=small,served"]),
        ("cache=r", ["cache=refresh"]),
        ("cluster.kind=", ["cluster.kind=inline", "cluster.kind=local", "cluster.kind=slurm"]),
        ("nothing=", []),
    ],
)
def test_override_being_typed_is_completed(project: Project, word: str, expected: list[str]) -> None:
    """Groups, options, keys and closed sets of values."""
    assert sorted(completions(project.root / "experiments" / "base.yaml", word)) == sorted(expected)


def test_schema_takes_what_users_write() -> None:
    """Groups take names too, dotted keys are known, and nothing is required."""
    schema = json_schema()

    assert schema["required"] == []
    assert {"extends", "defaults", "sweep"} <= set(schema["properties"])
    assert {"sampling.temperature", "engine.timeout", "model.engine"} <= set(schema["properties"])
    for group in GROUPS:
        assert {"type": "string"} in schema["properties"][group]["anyOf"]
        assert group in schema["$defs"]


def test_schema_describes_every_key() -> None:
    """Editors show a sentence for each top-level key."""
    properties = json_schema()["properties"]

    assert [key for key, one in properties.items() if not one.get("description")] == []


def test_schema_lets_a_union_be_told_by_more_than_kind() -> None:
    """`kind` may be left out where a suffix tells it, so more than one branch may fit."""
    assert "oneOf" not in str(json_schema())
