"""The shipped model is as small, as good and as repeatable as its card says."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.runs import all_runs
from tests.contract.environments import transformers_python
from tests.slow.slow_kit import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRAIN = ROOT / "scripts" / "train_tiny_model.py"
STEPS = """
import sys
from pathlib import Path
from tiny_model.training import Schedule, save, train
save(train(Schedule(steps=3)), Path(sys.argv[1]))
"""


def test_weights_are_small() -> None:
    """Everybody who clones has them."""
    assert (ROOT / "models" / "tiny" / "model.safetensors").stat().st_size <= 3_000_000


def test_sums_it_never_saw_are_right_of_which_99_in_100(project: Project) -> None:
    """Greedy, on the whole held-out set, as the shipped experiment asks it."""
    project.command(
        "run",
        ROOT / "experiments" / "addition.yaml",
        f"dataset.path={ROOT / 'data' / 'addition_heldout.jsonl'}",
        "--runs",
        project.folder / "runs",
    )
    (run,) = all_runs(project.folder / "runs")
    point = run.point("0")
    metrics = json.loads((point / "metrics.json").read_text())

    assert metrics["ok"] == 1000
    assert metrics["scores"]["exact_match"]["mean"]["value"] >= 0.99


def test_held_out_sets_are_made_again_to_the_byte(tmp_path: Path) -> None:
    """From seeds, with nothing but Python."""
    subprocess.run([sys.executable, TRAIN, "--data-only", "--data", tmp_path], check=True)
    made = sorted(path.name for path in tmp_path.iterdir())
    _, changed, lacking = filecmp.cmpfiles(tmp_path, ROOT / "data", made, shallow=False)

    assert len(made) >= 4
    assert (changed, lacking) == ([], [])


def test_training_twice_gives_the_same_weights(tmp_path: Path) -> None:
    """The first steps of it, on this machine."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        subprocess.run([transformers_python(), "-c", STEPS, folder], check=True, env=env)
    one, two = [(folder / "model.safetensors").read_bytes() for folder in folders]

    assert one == two
