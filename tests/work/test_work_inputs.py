"""A job asks the model that its run was launched with, or none."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.commands.advice import advice
from runner.errors import UserError
from runner.fold import fold_run
from runner.jobs import read_job
from runner.outcome import run_outcome
from runner.runs import RunFolder
from runner.shipped import shipped
from tests.work.work_kit import Lab, sums


@pytest.fixture
def model(lab: Lab) -> dict[str, Any]:
    """A model of the lab's own, on the embedded engine, with a chat template."""
    lab.rows(sums(2))
    shutil.copytree(shipped() / "models" / "tiny", lab.folder / "weights")
    (lab.folder / "chat.j2").write_text("{{ messages[0].content }}")
    return {"model": {"name": "weights", "chat_template": "chat.j2"}, "engine": {"kind": "mistralrs"}}


def refused(lab: Lab, run: Any) -> str:
    """Work a run that must fail, and return why it did."""
    result = lab.work(run)
    assert result.state()["state"] == "failed"
    assert result.count.ok == 0
    return str(result.state()["error"])


def test_chat_template_edited_after_the_launch_changes_nothing(lab: Lab) -> None:
    """The job reads the run's copy, and its path is the run's own wherever the run lies."""
    lab.rows(sums(1))
    template = lab.folder / "chat.j2"
    template.write_text("as launched")
    run = lab.prepare(model={"name": "m", "chat_template": "chat.j2"})
    template.unlink()
    moved = RunFolder(Path(shutil.move(run.path, lab.folder / "moved")))

    experiment = read_job(moved.jobs[0]).points[0].experiment(moved.path)

    assert experiment.model.chat_template is not None
    assert Path(experiment.model.chat_template).is_relative_to(moved.path)
    assert Path(experiment.model.chat_template).read_text() == "as launched"


def test_run_goes_on_after_its_chat_template_is_gone(lab: Lab) -> None:
    """Its copy is still what its keys say."""
    lab.rows(sums(2))
    (lab.folder / "chat.j2").write_text("as launched")
    run = lab.prepare(model={"name": "m", "chat_template": "chat.j2"})
    (lab.folder / "chat.j2").unlink()

    assert lab.work(run).count.ok == 2


def test_copy_of_a_chat_template_that_was_edited_stops_the_job(lab: Lab) -> None:
    """What would be asked is not what the keys say."""
    lab.rows(sums(2))
    (lab.folder / "chat.j2").write_text("as launched")
    run = lab.prepare(model={"name": "m", "chat_template": "chat.j2"})
    (copy,) = (run.path / "inputs").glob("*-chat.j2")
    copy.write_text("edited")

    assert f"chat template {copy} has changed since this run was launched; start a new run" in refused(
        lab, run
    )


def test_tokenizer_is_copied_without_the_weights_beside_it(lab: Lab) -> None:
    """The copy has the same identity as what it was copied from."""
    lab.rows(sums(2))
    folder = lab.folder / "tok"
    (folder / "deep").mkdir(parents=True)
    for name in ("tokenizer.json", "deep/merges.txt", "model.safetensors"):
        (folder / name).write_text(name)
    run = lab.prepare(model={"name": "m", "tokenizer": "tok"})
    shutil.rmtree(folder)

    (copy,) = (run.path / "inputs").glob("*-tok")
    names = [str(path.relative_to(copy)) for path in sorted(copy.rglob("*")) if path.is_file()]
    assert names == ["deep/merges.txt", "tokenizer.json"]
    assert lab.work(run).count.ok == 2


def test_tokenizer_too_large_to_copy_that_changed_stops_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is hashed again at the start, as a large dataset is."""
    monkeypatch.setattr("runner.prepare.COPY_LIMIT", 2)
    lab.rows(sums(2))
    file = lab.folder / "tokenizer.json"
    file.write_text("first")
    run = lab.prepare(model={"name": "m", "tokenizer": "tokenizer.json"})
    file.write_text("other")

    assert f"tokenizer {file} has changed since this run was launched" in refused(lab, run)


def test_weights_that_changed_stop_the_job(lab: Lab, model: dict[str, Any]) -> None:
    """Answers of other weights never go under the keys of the first."""
    run = lab.prepare(**model)
    config = lab.folder / "weights" / "config.json"
    config.write_text(config.read_text() + "\n")

    error = refused(lab, run)

    folder = lab.folder / "weights"
    assert error == (
        f"InputChangedError: model {folder} has changed since this run was launched; start a new run"
    )
    assert advice(run_outcome(run)).fix == ("put back what has changed, or start a new run",)


def test_weights_of_equal_size_and_time_stop_the_job(lab: Lab, model: dict[str, Any]) -> None:
    """Another checkpoint that was unpacked over the first, with its times: a resume never mixes the two."""
    file = lab.folder / "weights" / "model.safetensors"
    os.utime(file, ns=(10**18, 10**18))
    run = lab.prepare(**model)
    weights = bytearray(file.read_bytes())
    weights[-1] ^= 1
    file.write_bytes(weights)
    os.utime(file, ns=(10**18, 10**18))

    assert f"model {file.parent} has changed since this run was launched" in refused(lab, run)


def test_other_mistakes_are_not_called_changes(lab: Lab) -> None:
    """A worker that meets a damaged cache says which file it is and what helps; the advice points to that."""
    lab.rows(sums(2))
    run = lab.prepare()
    run.cache.write_bytes(b"no database")

    assert "is damaged" in refused(lab, run)
    assert advice(run_outcome(run)).fix == ("what the message says",)


def test_weights_that_are_gone_stop_the_job(lab: Lab, model: dict[str, Any]) -> None:
    """With the same message: nothing was asked."""
    run = lab.prepare(**model)
    shutil.rmtree(lab.folder / "weights")

    assert "has changed since this run was launched" in refused(lab, run)


def test_large_dataset_that_is_gone_stops_the_job(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message, not a traceback."""
    monkeypatch.setattr("runner.prepare.COPY_LIMIT", 2)
    lab.rows(sums(2))
    run = lab.prepare()
    (lab.folder / "rows.jsonl").unlink()

    assert "has changed since this run was launched; start a new run" in refused(lab, run)


def test_damaged_job_is_told_by_its_file(lab: Lab) -> None:
    """A job.json that was cut is one message, whichever command reads it."""
    lab.rows(sums(1))
    run = lab.prepare()
    file = run.jobs[0] / "job.json"
    file.write_bytes(file.read_bytes()[:300])

    with pytest.raises(UserError, match=rf"{re.escape(str(file))} is damaged .* start a new run"):
        fold_run(run)
