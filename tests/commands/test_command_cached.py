"""What is cached whole needs nothing of what asking takes; the rest is refused before a line is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engines.registry import engine_kinds
from runner.runs import CANCELLED
from tests.commands.adding_server import Adding
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer

NEEDS = "All answers come from the cache: a run takes no engine, key, GPU or Slurm."
ROWS = {"rows.jsonl": '{"question": "1+2", "answer": "3"}\n{"question": "3+4", "answer": "7"}\n'}
GPUS = ("engine.gpus=1", "topology.tensor_parallel_size=4")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a GPU and without Slurm."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("words", [GPUS, ("cluster=slurm",)], ids=["GPUs", "Slurm"])
def test_cached_run_needs_no_cluster(project: MakeProject, words: tuple[str, ...]) -> None:
    """Run and plan alike; the same with something to ask is refused, and leaves nothing."""
    made = project({})
    made.ran("run", "sums.yaml", "engine.gpus=0" if words == GPUS else "cluster=inline")
    count = len(list(made.root.glob("runs/sums/*")))

    planned, uncounted = (
        made.ran("plan", "sums.yaml", *words),
        made.ran("plan", "sums.yaml", *words, "--no-count"),
    )
    ran = made.ran("run", "sums.yaml", *words)
    refused = made.ran("run", "sums.yaml", *words, "sampling.temperature=1", code=2)

    assert NEEDS in planned.lines
    assert "not to be run here" not in planned.out + uncounted.out
    assert "complete: 100 % cached, 0 requests" in ran.lines
    assert refused.err.startswith(
        "runner: a job takes 4 GPUs" if words == GPUS else "runner: cluster=slurm: "
    )
    assert "not to be run here" in made.ran("plan", "sums.yaml", *words, "sampling.temperature=1").out
    assert len(list(made.root.glob("runs/sums/*"))) == count + 1


def test_cached_run_needs_no_key_and_no_server(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row more has something to ask, and is refused with the variable; rendering needs none either."""
    monkeypatch.setenv("LAB_KEY", "a-key-of-the-lab")
    made = project(ROWS)
    with HttpServer({"/v1/chat/completions": Adding("parrot")}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', api_key_env: LAB_KEY}}"
        made.ran("run", "sums.yaml", engine, "dataset.limit=1")
    monkeypatch.delenv("LAB_KEY")

    assert NEEDS in made.ran("plan", "sums.yaml", engine, "dataset.limit=1").lines
    made.ran("render", "sums.yaml", engine)
    ran = made.ran("run", "sums.yaml", engine, "dataset.limit=1")
    before = sorted(made.root.rglob("*"))
    for verb in ("run", "plan"):
        refused = made.ran(verb, "sums.yaml", engine, code=2)
        problem = "engine.api_key_env (command line): the environment variable LAB_KEY is not set"
        assert refused.err == f"runner: {problem}\n    export LAB_KEY=...\n"

    assert "complete: 100 % cached, 0 requests" in ran.lines
    assert sorted(made.root.rglob("*")) == before


def test_points_that_lack_a_key_are_skipped_only_where_they_ask(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--skip-refused serves the cached point and lists the other; without it all is refused, by its point."""
    monkeypatch.setenv("LAB_KEY", "a-key-of-the-lab")
    made = project(ROWS)
    with HttpServer({"/v1/chat/completions": Adding("parrot")}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', api_key_env: LAB_KEY}}"
        made.ran("run", "sums.yaml", engine)
    monkeypatch.delenv("LAB_KEY")
    sweep = ("sums.yaml", "-m", engine, "sampling.temperature=0,1")

    refused = made.ran("run", *sweep, code=2)
    ran = made.ran("run", *sweep, "--skip-refused")

    assert refused.err.startswith(
        "runner: engine.api_key_env [sampling.temperature=1] (command line): the environment variable"
    )
    assert "complete: 100 % cached, 0 requests" in ran.lines
    assert "  refused: engine.api_key_env [sampling.temperature=1] (command line):" in ran.out


def test_what_stops_asking_is_told_beside_other_faults(project: MakeProject) -> None:
    """All that is to be mended is said at once."""
    engine = "engine={kind: openai_compatible, base_url: 'http://localhost:9/v1', api_key_env: NO_SUCH_KEY}"

    refused = project({}).ran("plan", "sums.yaml", engine, "sampling.min_tokens=3", code=2)

    assert (
        "sampling.min_tokens (command line): engine openai_compatible can't honour min_tokens" in refused.err
    )
    assert "engine.api_key_env (command line): the environment variable NO_SUCH_KEY is not set" in refused.err


def test_cancelled_point_that_is_cached_is_taken_up_without_a_key(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume checks what asking takes once the cache has been served."""
    monkeypatch.setenv("LAB_KEY", "a-key-of-the-lab")
    made = project(ROWS)
    with HttpServer({"/v1/chat/completions": Adding("parrot")}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', api_key_env: LAB_KEY}}"
        run = made.prepare(engine)
        made.ran("cancel", run.name, "0")
        made.ran("run", "sums.yaml", engine)
    monkeypatch.delenv("LAB_KEY")

    assert made.ran("resume", run.name, "0").lines[0].endswith("2 results came from the cache")
    assert not (run.point("0") / CANCELLED).exists()


@pytest.mark.skipif(engine_kinds()["vllm"].missing() is None, reason="it must not be installed")
@pytest.mark.usefixtures("bare")
def test_cached_run_needs_no_package(project: MakeProject) -> None:
    """What a server of the same revision answered is shown without vLLM; what asks is refused."""
    made = project(ROWS)
    words = ("sums.yaml", "model={name: lab/parrot, revision: main}", "engine={kind: vllm}")
    with HttpServer({"/v1/chat/completions": Adding("lab/parrot")}) as server:
        made.ran("run", *words, f"engine.base_url={server.url('/v1')}")

    assert "complete: 100 % cached, 0 requests" in made.ran("run", *words).lines
    refused = made.ran("run", *words, "sampling.temperature=1", code=2)
    assert "vllm needs vllm, which is not installed\n    pip install " in refused.err
