"""``datasets.map(num_proc=4)`` with an LLM inside, by the datasets package itself."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.engines.mistralrs import KIND as MISTRALRS
from tests.contract.environments import ROOT, datasets_python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(MISTRALRS.missing() is not None, reason="mistralrs is not installed"),
]

SUMS = [(a, b) for a in range(20, 24) for b in range(11, 21)]


@pytest.fixture(autouse=True)
def rows(tmp_path: Path) -> None:
    """Write the dataset."""
    questions = ({"question": f"{a}+{b}"} for a, b in SUMS)
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))


def ran(folder: Path, *script: str) -> dict[str, Any]:
    """Run a script in a folder and return what it tells."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    words = [str(datasets_python()), "-m", *script]
    done = subprocess.run(words, cwd=folder, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def mapped(folder: Path, processes: int) -> dict[str, Any]:
    """Map in so many processes."""
    return ran(folder, "tests.slow.mapping", str(processes))


def batches(folder: Path) -> list[str]:
    """Return the process of each batch that was computed."""
    return (folder / "batches.txt").read_text().split()


def test_map_in_four_processes_answers_and_is_cached(tmp_path: Path) -> None:
    """Each process loads the model and answers its shard; a later script finds it mapped, by its hash."""
    first = mapped(tmp_path, 4)
    computed = batches(tmp_path)
    again = mapped(tmp_path, 4)

    assert first["answers"] == [str(a + b) for a, b in SUMS]
    assert len(set(computed)) == 4
    assert len(computed) == 8
    assert len(first["files"]) == 4
    assert first["used"] == again["used"] == "85"
    assert batches(tmp_path) == computed
    assert again == first
    before, after, other = first["hashes"]
    assert before == after != other


def test_map_in_one_process_says_the_same(tmp_path: Path) -> None:
    """In the script's own process, where the model stays loaded."""
    assert mapped(tmp_path, 1)["answers"] == [str(a + b) for a, b in SUMS]
    assert len(set(batches(tmp_path))) == 1


def test_values_of_numpy_pandas_and_datasets_go_in_and_out(tmp_path: Path) -> None:
    """Columns, scalars and tables are taken by every method, and each library stores the answers whole."""
    told = ran(tmp_path, "tests.slow.foreign")

    assert told["messages"] == ["hi"] * 3
    assert set(map(tuple, told["batches"].values())) == {("a", "bc")}
    assert set(told["scores"].values()) == {0.5}
    assert set(map(tuple, told["ranks"].values())) == {(0.25, 0.5)}
    assert (told["pairs"], told["logprobs"]) == ([0.25, 0.5], 2)
    assert all("table['role']" in refusal for refusal in told["refused"])
    sampling = {name: told["body"][name] for name in ("temperature", "top_p", "max_tokens", "stop")}
    assert sampling == {"temperature": 0.7, "top_p": 0.9, "max_tokens": 5, "stop": ["x", "y"]}
    assert (told["body"]["logit_bias"], told["turns"], told["ids"]) == ({"5": 1.5}, ["a", "bc", "c"], [1, 2])
    assert told["vectors"] == told["mapped"] == told["frame"] == told["array"] == told["arrow"]
    assert told["likely"] == [[{"logprob": -1.0, "tokens": 1, "greedy": True}]] * 2
    assert told["tokens"][0] == [{"token": "a", "logprob": 0.0, "token_id": None, "top": [], "rank": None}]
