"""`~key` takes away what somebody gave, and nothing else."""

from __future__ import annotations

import pytest

from tests.config.config_kit import BASE, Project

PLAIN = (
    "defaults: [{/model: small}, _self_]\nprompt: hi you\ndataset: data/sums.jsonl\nsampling: {top_k: 3}\n"
)

REFUSED = {
    "~sampling.temprature": "sampling.temprature (command line): nothing to delete: it is not given\n"
    "    did you mean temperature?",
    "~sampling.top_p": "nothing to delete: it is not given\n    known: temperature",
    "~smpling.temperature": "smpling.temperature (command line): nothing to delete: it is not given\n"
    "    did you mean sampling?",
    "~nosuchgroup": "nosuchgroup (command line): nothing to delete",
    "~cluster": "cluster (command line): nothing to delete",
    "~prompt.turns.3": "prompt.turns.3 (command line): nothing to delete",
    "~sweep": "sweep (command line): nothing to delete",
    "~sweep.samples": "sweep.samples (command line): nothing to delete",
    "~engine.knid": "engine.knid (command line): nothing to delete: it is not given\n    did you mean kind?",
    "~sampling.temperature=3": "sampling.temperature (command line): not deleted: it is 0, not 3",
    "~sampling=hot": "sampling (command line): not deleted: it is {temperature: 0}, not hot",
}


@pytest.mark.parametrize("override", REFUSED)
def test_deletion_of_what_nobody_gave_is_refused(project: Project, override: str) -> None:
    """As Hydra refuses it, with the nearest name."""
    assert REFUSED[override] in project.refused(override)


def test_all_deletions_of_nothing_are_told_together(project: Project) -> None:
    """One message for all, beside other faults."""
    message = project.refused("~sampling.temprature", "~sampling.tpo_p", "~nosuch", "samples=0")

    for place in ("sampling.temprature", "sampling.tpo_p", "nosuch", "samples"):
        assert f"\n{place} (command line)" in f"\n{message}"


def test_deletion_in_a_plain_file_is_refused_alike(project: Project) -> None:
    """A file with `defaults:` tells all of them too, with the nearest name."""
    message = project.refused("~sampling.tpo_k", "~nosuch", "~sweep.samples", file=project.file(PLAIN))
    assert message.startswith("sweep.samples (command line): nothing to delete")

    message = project.refused("~sampling.tpo_k", "~nosuch", file=project.file(PLAIN))
    assert (
        "sampling.tpo_k (command line): nothing to delete: it is not given\n    did you mean top_k?"
        in message
    )
    assert "nosuch (command line): nothing to delete" in message


def test_value_in_a_deletion_is_what_must_stand_there(project: Project) -> None:
    """`~key=value` deletes that value, as in Hydra."""
    assert project.one("~sampling.temperature=0").sampling.given() == {}
    assert project.one("~sampling.top_k=3", file=project.file(PLAIN)).sampling.given() == {}
    assert "not deleted: it is 3, not 4" in project.refused("~sampling.top_k=4", file=project.file(PLAIN))


def test_what_a_model_brings_is_deleted_from_the_model(project: Project) -> None:
    """The way that the refusal names works."""
    assert project.one("model=served", "~model.sampling.max_tokens").sampling.max_tokens is None


def test_what_a_model_brings_is_deleted_by_its_own_key(project: Project) -> None:
    """A model is the lowest layer: what it brings is given, and is taken away with what lies over it."""
    served = "model=served"

    assert project.one(served, "~sampling.max_tokens").sampling.given() == {"temperature": 0}
    assert project.one(served, "~sampling.max_tokens=7").sampling.given() == {"temperature": 0}
    assert project.one(served, "~engine.timeout").engine.timeout == 600
    assert project.one(served, "~topology").topology.tensor_parallel_size == 1
    assert project.one(served, "~sampling").sampling.given() == {}
    both = project.file(BASE + "sampling.max_tokens: 5\n", "both")
    assert project.one(served, "~sampling.max_tokens", file=both).sampling.max_tokens is None
    plain = project.file(PLAIN.replace("small", "served"), "plain")
    assert project.one("~sampling.max_tokens", file=plain).sampling.given() == {"top_k": 3}
    assert "not deleted: it is 7, not 8" in project.refused(served, "~sampling.max_tokens=8")
    for name in ("served", "small"):
        assert "sampling.top_p (command line): nothing to delete" in project.refused(
            f"model={name}", "~sampling.top_p"
        )
    assert "sampling.max_tokens: the default (command line) replaces the model's 7" in project.notes(
        served, "~sampling.max_tokens"
    )
    points = project.composed("model=small,served", "~sampling.max_tokens", multirun=True, skip_refused=True)
    assert [point.experiment.model.name for point in points.points] == ["org/served"]


def test_item_of_a_list_can_be_deleted(project: Project) -> None:
    """By its index."""
    turns = "prompt={turns: [{system: s}, {user: a}]}"

    assert len(project.one(turns, "~prompt.turns.0").prompt.turns or ()) == 1


def test_deletion_fixes_a_swept_key_that_nothing_else_gives(project: Project) -> None:
    """The sweep gave it; deleting it leaves the default."""
    file = project.file(BASE + "sweep: {sampling.top_p: [0.5, 1]}\n")

    assert project.one("~sampling.top_p", file=file).sampling.given() == {"temperature": 0}


def test_deletion_can_not_be_swept(project: Project) -> None:
    """There is but one way to be gone."""
    message = project.refused("~sampling.temperature=0,1", multirun=True)

    assert "a deletion can't be swept\n    write ~sampling.temperature" in message


@pytest.mark.parametrize(
    ("deletion", "left"), [("~sampling.top_p", (None, 2)), ("~sampling", (None, 2)), ("~samples", (0.5, 1))]
)
def test_deletion_fixes_a_swept_key_of_a_plain_file_too(
    project: Project, deletion: str, left: tuple[float | None, int]
) -> None:
    """A file with `defaults:` takes what other files do."""
    text = PLAIN.replace("sampling: {top_k: 3}\n", "")
    file = project.file(text + "sweep: {sampling.top_p: [0.5], samples: [2]}\n")

    experiment = project.one(deletion, file=file)

    assert (experiment.sampling.top_p, experiment.samples) == left
