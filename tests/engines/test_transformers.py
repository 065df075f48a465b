"""The engine kind transformers as the plan sees it; and its other tests, run where torch is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.engines.transformers import KIND, Transformers
from runner.shipped import shipped
from runner.spec import Model, Topology
from tests.contract.environments import ROOT, TRANSFORMERS, transformers_python

TINY = shipped() / "models" / "tiny"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(KIND.missing() is None, reason="they run beside this one")
@pytest.mark.parametrize("version", TRANSFORMERS)
def test_all_that_needs_torch_holds_with_every_version(version: str) -> None:
    """The modules beside this one, none of them left out, with each version that pyproject.toml admits."""
    modules = sorted(Path(__file__).parent.glob("test_transformers_*.py"))
    python = transformers_python(version)
    command: list[str | Path] = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *modules]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    show = "from importlib.metadata import version; print(version('transformers'))"

    shown = subprocess.run([python, "-c", show], check=True, capture_output=True, text=True).stdout
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-10_000:]
    assert shown.startswith(f"{version}.")
    assert "could not import" not in done.stdout
    assert len(modules) >= 3


def test_kind_is_described_without_torch() -> None:
    """Planning costs no import of it."""
    program = (
        "import sys; from runner.engines.registry import engine_kinds\n"
        "engine_kinds()['transformers'].check(engine_kinds()['transformers'].settings(), MODEL)\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    ).replace("MODEL", "__import__('runner.spec').spec.Model(name='x')")

    assert subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT).returncode == 0


def test_what_of_a_model_cannot_be_honoured_is_found_by_the_plan(tmp_path: Path) -> None:
    """All of it together, with the nearest name."""
    (tmp_path / "tokenizer.json").touch()
    model = Model(
        name=str(tmp_path / "nowhere"),
        dtype="bflot16",
        quantization="awq",
        tokenizer=str(tmp_path / "tokenizer.json"),
    )

    faults = {fault.place: fault for fault in KIND.check(Transformers(), model)}

    assert {"model.name", "model.dtype", "model.quantization", "model.tokenizer"} <= faults.keys()
    assert "did you mean bfloat16?" in faults["model.dtype"].hint
    assert faults["model.tokenizer"].hint == f"give {tmp_path}"


def test_gpus_are_those_that_the_device_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at most; auto takes none where all are hidden."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    taken = {
        device: KIND.devices(Transformers(device=device), Topology()) for device in ("cuda", "cpu", "auto")
    }

    assert taken == {"cuda": 1, "cpu": 0, "auto": 0}


def test_batch_is_as_large_as_the_concurrency_unless_it_is_said() -> None:
    """More would never be asked at once."""
    assert Transformers().most_at_once == KIND.capabilities.concurrency
    assert Transformers(concurrency=7).most_at_once == 7
    assert Transformers(concurrency=7, batch_size=3).most_at_once == 3
