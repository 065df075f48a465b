"""Jobs whose server is a program: candle-vllm and OpenLLM, for which a stub stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.shipped import shipped
from tests.work.stub_binary import program
from tests.work.work_kit import Lab

TINY = str(shipped() / "models" / "tiny")
KINDS = ("candle_vllm", "openllm")
_MODELS: dict[str, dict[str, Any]] = {
    "candle_vllm": {"name": TINY, "dtype": "bfloat16"},
    "openllm": {"name": "llama3.2:1b"},
}
_TOPOLOGY = {"candle_vllm": {"tensor_parallel_size": 2}, "openllm": {}}
_STARTED = {
    "candle_vllm": f"--d 0,1 --dtype bf16 --w {TINY} --verbose on GPU 4,5",
    "openllm": "--verbose on GPU 4",
}
"""What the documentation of each has after the port; the GPUs are numbered anew for the server."""


@pytest.fixture(autouse=True)
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs, which nobody looks at: their locks are real."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("RUNNER_GPU_LOCKS", str(tmp_path / "locks"))


def keys(kind: str, folder: Path, **engine: Any) -> dict[str, Any]:
    """Return the keys of an experiment whose job starts the stub."""
    settings = {"kind": kind, "binary": program(folder), "args": {"verbose": True}, "max_attempts": 1}
    return {
        "model": _MODELS[kind],
        "topology": _TOPOLOGY[kind],
        "engine": {**settings, **engine},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_program_is_started_asked_and_ended(lab: Lab, tmp_path: Path, kind: str) -> None:
    """On the job's GPUs, waited for while it loads, asked by its own name for the model; then it is gone."""
    lab.rows({"id": str(n), "q": f"q{n}", "a": ""} for n in range(20))

    result = lab.run(**keys(kind, tmp_path))

    said = [line["slots"]["answer"].split() for line in result.lines()]
    assert result.state()["state"] == "complete"
    assert [text for _, _, text in said] == [f"q{n}" for n in range(20)]
    ((pid, model),) = {(int(pid), model) for pid, model, _ in said}
    assert model == {"candle_vllm": TINY, "openllm": "llama3.2:1b"}[kind].rpartition("/")[2]
    assert not psutil.pid_exists(pid)
    first, *rest = (result.run.jobs[0] / "1" / "server-0.log").read_text().splitlines()
    start, _, what = first.partition("--p" if kind == "candle_vllm" else "--port")
    assert start == ("started with " if kind == "candle_vllm" else "started with serve llama3.2:1b ")
    assert what.split(maxsplit=1)[1] == _STARTED[kind]
    assert " 503 " in rest[0]


@pytest.mark.parametrize("kind", KINDS)
def test_program_that_ends_tells_why(lab: Lab, tmp_path: Path, kind: str) -> None:
    """In its last words, whether it could not start or died while it was asked; resume starts another."""
    lab.rows({"id": q, "q": q, "a": ""} for q in ("a", "die"))

    unable = lab.run(**keys(kind, tmp_path, args={"die": True}))
    dead = lab.run(**keys(kind, tmp_path))

    assert unable.state()["state"] == "failed"
    assert f"ServerExitedError: {kind} exited with code 1" in unable.state()["error"]
    assert "no such device" in unable.state()["error"]
    assert dead.state()["state"] == "failed"
    assert "out of memory: this is the end" in dead.state()["error"]
    again = lab.work(dead.run)
    assert again.state(2)["state"] == "failed"


def test_openllm_on_a_cpu_claims_no_gpu(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its catalogue has models that need none; candle-vllm's documentation has no such build."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lab.rows([{"id": "1", "q": "x", "a": ""}])

    result = lab.run(**keys("openllm", tmp_path, device="cpu"))

    assert result.state()["state"] == "complete"
