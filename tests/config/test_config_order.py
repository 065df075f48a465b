"""The order of overrides doesn't count, but for those of one key, of which the last does."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest

from runner.errors import ConfigError
from tests.config.config_kit import BASE, Project

FILES = {
    "without defaults": BASE + "scorers: [numeric]\n",
    "with defaults": "defaults: [/model: small, /sampling: greedy, _self_]\n"
    "prompt: qa\ndataset: sums\nscorers: [numeric]\n",
}
OVERRIDES = (
    "model=served",
    "model.engine.timeout=3",
    "engine=fake",
    "engine.timeout=4",
    "engine={kind: fake, latency: 1}",
    "~engine.timeout",
    "sampling=hot",
    "sampling.top_k=3",
    "+sampling.stop=[a, b, c]",
    "sampling.stop.0=z",
    "~sampling.stop.0",
    "~sampling.stop.1",
    "++sampling.logit_bias={1: 2}",
    "sampling.logit_bias.5=1",
    "~sampling.temperature",
    "scorers={a: numeric}",
    "scorers.a={kind: numeric}",
    "scorers.a.tolerance=1",
    "prompt={turns: [{system: s}, {user: a}, {user: b}]}",
    "prompt.turns.1={user: x}",
    "prompt.turns.2.user=y",
    "~prompt.turns.0",
)


def outcome(project: Project, file: str, overrides: tuple[str, ...]) -> object:
    """Return what overrides come to: an experiment, or the faults."""
    try:
        (point,) = project.composed(*overrides, file=file).points
    except ConfigError as error:
        return {fault.place for fault in error.faults}
    return point.experiment.model_dump(mode="json")


@pytest.mark.parametrize("name", FILES)
def test_every_pair_of_overrides_comes_to_the_same_in_either_order(project: Project, name: str) -> None:
    """Whatever two of them say."""
    project.file(FILES[name], "ordered")
    different = [
        pair
        for pair in combinations(OVERRIDES if name == "without defaults" else OVERRIDES[::2], 2)
        if outcome(project, "ordered", pair) != outcome(project, "ordered", pair[::-1])
        and pair[0].strip("+~").partition("=")[0] != pair[1].strip("+~").partition("=")[0]
    ]

    assert different == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "overrides",
    [
        ("sampling.stop=[a, b, c]", "~sampling.stop.0", "~sampling.stop.1", "sampling.stop.2=z"),
        (
            "scorers={b: numeric}",
            "scorers.a={kind: numeric}",
            "scorers.a.tolerance=1",
            "scorers.b.tolerance=2",
        ),
        ("sampling=hot", "sampling.logit_bias={1: 2}", "sampling.logit_bias.5=1", "~sampling.temperature"),
    ],
)
def test_every_order_of_several_comes_to_the_same(
    project: Project, name: str, overrides: tuple[str, ...]
) -> None:
    """An index is that of the list as it was; a key is laid over the map that it is in."""
    project.file(FILES[name], "ordered")
    found = [outcome(project, "ordered", order) for order in permutations(overrides)]

    assert not isinstance(found[0], set)
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("name", FILES)
def test_last_override_of_a_key_counts(project: Project, name: str) -> None:
    """As in Hydra, whatever is done with the key."""
    file = project.file(FILES[name], "ordered")

    assert project.one("samples=2", "samples=3", file=file).samples == 3
    assert project.one("sampling.top_k=1", "++sampling.top_k=2", file=file).sampling.top_k == 2
    assert project.one("~sampling.top_k", "sampling.top_k=2", file=file).sampling.top_k == 2
    assert project.one("sampling.top_k=2", "~sampling.top_k", file=file).sampling.top_k is None


def test_order_of_keys_in_a_file_does_not_count(project: Project) -> None:
    """A dotted key above the map that it is in is laid over it too."""
    text = BASE + "sampling.logit_bias.5: 1\nsampling.logit_bias: {1: 2}\n"

    assert project.one(file=project.file(text)).sampling.logit_bias == {1: 2, 5: 1}


def test_swept_key_is_laid_in_its_turn(project: Project) -> None:
    """A key that is given beside a sweep of the map that it is in, too."""
    file = project.file(BASE + "sweep: {scorers.a: [{kind: numeric}, {kind: numeric, take: first}]}\n")

    for composed in (
        project.composed("scorers.a.tolerance=1", file=file),
        project.composed(
            "scorers.a={kind: numeric},{kind: numeric, take: first}", "scorers.a.tolerance=1", multirun=True
        ),
    ):
        assert [point.experiment.scorers["a"].model_dump()["tolerance"] for point in composed.points] == [
            1,
            1,
        ]
