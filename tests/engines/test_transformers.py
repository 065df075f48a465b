"""The engine kind transformers as the plan sees it; and its other tests, run where torch is."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from runner.engines.transformers import KIND, Transformers
from runner.shipped import shipped
from runner.spec import Model, Topology

ROOT = Path(__file__).parents[2]
TINY = shipped() / "models" / "tiny"
PINNED = (
    "torch==2.13.0",
    "transformers[serving]==5.23.0",
    "llguidance==1.9.1",
    "peft==0.21.2",
    "pytest>=8.4",
    "pytest-timeout>=2.3",
)


def environment() -> Path:
    """Return the interpreter of an environment with torch: built once, and kept beside other caches."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "llm-runner"
    folder = cache / "transformers"
    folder.mkdir(parents=True, exist_ok=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*PINNED, *project["dependencies"]]
    python, built = folder / "bin" / "python", folder / "built.txt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.is_file() or built.read_text() != "\n".join(wanted):
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
            built.write_text("\n".join(wanted))
    return python


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(KIND.missing() is None, reason="they run beside this one")
def test_all_that_needs_torch_holds_where_torch_is() -> None:
    """The modules beside this one, none of them left out."""
    modules = sorted(Path(__file__).parent.glob("test_transformers_*.py"))
    command = [str(environment()), "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, modules)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-10_000:]
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
