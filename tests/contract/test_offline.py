"""The engines in this process, run in environments that hold the engine and the runner together."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.contract.environments import ROOT, offline_python

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(1800)]

HERE = Path(__file__).parent


def run_within(kind: str, *words: str) -> str:
    """Run tests of a kind where its engine is; return what was told, once none failed or was left out."""
    engine = kind.removesuffix("_offline")
    # What the engines warn of is theirs.
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "-o", "addopts=-ra"]
    done = subprocess.run(
        [offline_python(engine), "-m", "pytest", *options, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-10_000:]
    summary = done.stdout.strip().splitlines()[-1]
    assert "skipped" not in summary, done.stdout[-3000:]
    return summary


@pytest.mark.parametrize("kind", ["vllm_offline", "sglang_offline"])
def test_contract_holds_within_this_process(kind: str) -> None:
    """All claims about engines of weights, none of them left out."""
    modules = [str(HERE / name) for name in ("test_contract.py", "test_conversations.py")]
    summary = run_within(kind, *modules, "-k", kind)

    assert int(summary.split(" passed")[0].split()[-1]) > 50


@pytest.mark.parametrize(("kind", "count"), [("vllm_offline", 7), ("sglang_offline", 6)])
def test_tasks_hold_within_this_process(kind: str, count: int) -> None:
    """All tasks that are answered with numbers are answered as by the servers."""
    assert f"{count} passed" in run_within(kind, str(HERE / "test_tasks.py"), "-k", kind)


def test_adapters_hold_within_this_process() -> None:
    """A LoRA adapter does there what it does on the server."""
    assert "3 passed" in run_within(
        "vllm_offline", str(HERE / "test_adapter_effects.py"), "-k", "vllm_offline"
    )


@pytest.mark.parametrize(("kind", "count"), [("vllm_offline", 2), ("sglang_offline", 3)])
def test_models_own_files_hold_within_this_process(kind: str, count: int) -> None:
    """A generation config does nothing there, and a chat template all that it does on the server."""
    assert f"{count} passed" in run_within(kind, str(HERE / "test_own_files.py"), "-k", kind)


@pytest.mark.parametrize("kind", ["vllm_offline", "sglang_offline"])
def test_ends_hold_within_this_process(kind: str) -> None:
    """Nothing outlives the engine, and an engine that has died says so."""
    assert "5 passed" in run_within(kind, str(HERE / "test_offline_ends.py"), "-k", kind)
