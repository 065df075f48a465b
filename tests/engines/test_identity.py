"""What a model's part of every request key is made of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import UserError
from runner.hashes import content_hash
from runner.identity import make_scope, require_same_model
from runner.spec import Model
from runner.values import Json

KIND = engine_kinds()["mistralrs"]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own, and a memo of hashes of its own."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "hub"


def identity(name: str | Path, **model: str) -> dict[str, Json]:
    return dict(make_scope(Model(name=str(name), **model), KIND.settings(kind="mistralrs"), KIND).model)


def weights(folder: Path, text: str = "first") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(text)
    return folder


def test_weights_in_a_folder_named_snapshots_count_by_content(tmp_path: Path) -> None:
    """Only the hub cache names a folder after its commit; anywhere else the name says nothing."""
    folder = weights(tmp_path / "snapshots" / "ckpt")
    before = identity(folder)

    weights(folder, "other")

    assert before.keys() == {"weights"}
    assert identity(folder) != before


def test_snapshot_counts_alike_by_hub_name_and_by_path(hub: Path) -> None:
    """A folder below the hub cache is the repository's commit, however it is named."""
    folder = weights(hub / "models--org--name" / "snapshots" / "c0ffee")

    expected = {"name": "org/name", "revision": "c0ffee"}
    assert identity("org/name", revision="c0ffee") == identity(folder) == expected


def test_hub_name_is_never_a_folder_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command was typed has no say in which model is meant."""
    weights(tmp_path / "org" / "name")
    monkeypatch.chdir(tmp_path)

    assert identity("org/name") == {"name": "org/name"}


def test_branch_that_moved_on_is_another_model(hub: Path) -> None:
    """A job would load another commit than its keys say."""
    weights(hub / "models--org--name" / "snapshots" / "aaa")
    weights(hub / "models--org--name" / "snapshots" / "bbb")
    branch = hub / "models--org--name" / "refs" / "main"
    branch.parent.mkdir()
    branch.write_text("aaa")
    model = Model(name="org/name")
    scope = make_scope(model, KIND.settings(kind="mistralrs"), KIND)
    require_same_model(model, KIND.settings(kind="mistralrs"), KIND, scope)

    branch.write_text("bbb")

    with pytest.raises(UserError, match="model org/name has changed since this run was launched"):
        require_same_model(model, KIND.settings(kind="mistralrs"), KIND, scope)


def test_weights_beside_a_tokenizer_do_not_count(tmp_path: Path) -> None:
    """A tokenizer taken from a model's folder is its own files alone."""
    folder = weights(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    before = identity("m", tokenizer=str(folder))

    weights(folder, "other")
    assert identity("m", tokenizer=str(folder)) == before

    (folder / "tokenizer.json").write_text("{ }")
    assert identity("m", tokenizer=str(folder)) != before


def test_change_of_equal_length_right_after_a_hash_is_seen(tmp_path: Path) -> None:
    """Two writes within one tick of the file's clock may have the same time of change."""
    file = tmp_path / "template.j2"
    file.write_text("first")
    before, changed = content_hash(file), file.stat().st_mtime_ns

    file.write_text("other")
    os.utime(file, ns=(changed, changed))

    assert content_hash(file) != before


def test_damaged_memory_of_hashes_only_costs_time(tmp_path: Path) -> None:
    """What can't be remembered is computed."""
    file = tmp_path / "template.j2"
    file.write_text("text")
    before = content_hash(file)
    (tmp_path / "cache" / "runner" / "hashes.sqlite").write_bytes(b"no database" * 100)

    assert content_hash(file) == before


def served_identity(name: str | Path, revision: str | None = None, **settings: str) -> dict[str, Any]:
    """Return the identity of a model that a server at an address has."""
    kind = engine_kinds()["openai_compatible"]
    model = Model(name=str(name), revision=revision)
    given = kind.settings.model_validate({"base_url": "http://h:1/v1", **settings})
    scope = make_scope(model, given, kind)
    return {"model": dict(scope.model), "engine": dict(scope.engine)}


def test_folder_that_a_server_serves_under_another_name_counts_by_content(tmp_path: Path) -> None:
    """The key says what the weights are, wherever they lie, and what was asked for."""
    here, there = weights(tmp_path / "a"), weights(tmp_path / "b")
    found = served_identity(here, served_model_name="tiny")

    assert found["model"] == identity(there)
    assert found["engine"]["served_model_name"] == "tiny"
    assert served_identity(weights(tmp_path / "c", "other"), served_model_name="tiny") != found


def test_two_served_names_at_one_address_are_two_engines(tmp_path: Path) -> None:
    """Where a revision stands for the address too."""
    folder = weights(tmp_path / "a")

    for revision in (None, "v1"):
        one, other = (served_identity(folder, revision, served_model_name=name) for name in ("x", "y"))
        assert one["model"] == other["model"]
        assert one["engine"] != other["engine"]


def test_hub_name_at_an_address_is_what_it_is_called(hub: Path) -> None:
    """Which commit a server has loaded, this machine's cache can't tell."""
    weights(hub / "models--org--name" / "snapshots" / "c0ffee")
    (hub / "models--org--name" / "refs").mkdir()
    (hub / "models--org--name" / "refs" / "main").write_text("c0ffee")

    assert served_identity("org/name", served_model_name="x")["model"] == {"name": "org/name"}
    assert served_identity("org/name")["engine"].keys() == {"kind", "base_url"}


def test_weights_that_a_server_serves_need_not_lie_where_the_job_runs(tmp_path: Path) -> None:
    """The worker asks for them by name."""
    folder = weights(tmp_path / "a")
    kind = engine_kinds()["openai_compatible"]
    settings = kind.settings.model_validate({"base_url": "http://h:1/v1", "served_model_name": "tiny"})
    scope = make_scope(Model(name=str(folder)), settings, kind)
    folder.rename(tmp_path / "gone")

    require_same_model(Model(name=str(folder)), settings, kind, scope)
