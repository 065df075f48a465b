"""Jobs that start a real server in several processes: it answers as one does, and all are gone."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contract.effects import long_words
from tests.contract.environments import engine_python
from tests.contract.subjects import SETTINGS, TINY, Subject, chat
from tests.slow.slow_kit import Project, results, worker_of

pytestmark = [pytest.mark.contract, pytest.mark.slow, pytest.mark.timeout(600)]

ASKED = (*(f"{a}+{b}" for a in range(10, 90, 9) for b in (7, 48)), *(f"reverse {w}" for w in long_words()))
SAMPLING = {"temperature": 0.0, "max_tokens": 30}
_BIND = {"vllm": "VLLM_CPU_OMP_THREADS_BIND", "sglang": "SGLANG_CPU_OMP_THREADS_BIND"}
CASES = [
    ("vllm", "tensor_parallel_size", ("Worker_TP0", "Worker_TP1")),
    ("vllm", "data_parallel_size", ("EngineCore_DP0", "EngineCore_DP1")),
    ("sglang", "tensor_parallel_size", ("scheduler_TP0", "scheduler_TP1")),
]


def _experiment(folder: Path, kind: str, size: str) -> Project:
    """Write an experiment whose job starts a server of two processes that compute, a core for each."""
    rows = [{"id": f"{number:03}", "q": text, "a": ""} for number, text in enumerate(ASKED)]
    (folder / "conf").mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project = Project(folder, {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")})
    settings = SETTINGS[kind]
    engine = {**settings, "kind": kind, "python": str(engine_python(kind))}
    engine["env"] = {**settings["env"], _BIND[kind]: "0|1"}
    project.experiment(model=str(TINY), engine=engine, topology={size: 2}, sampling=SAMPLING)
    return project


def _run(project: Project) -> dict[psutil.Process, set[str]]:
    """Run the experiment to its end; return every process below its worker, with its names for itself."""
    command = project.start("run", "exp.yaml")
    seen: dict[psutil.Process, set[str]] = {}
    while True:
        try:
            assert command.process.wait(0.2) == 0, command.printed
        except subprocess.TimeoutExpired:
            for process in _family(project):
                with suppress(psutil.Error):  # it has ended meanwhile
                    seen.setdefault(process, set()).add(" ".join(process.cmdline()))
        else:
            return seen


def _family(project: Project) -> list[psutil.Process]:
    if not list(project.folder.glob("runs/exp/*/jobs/*/1/state.json")):
        return []
    try:
        return psutil.Process(worker_of(project.last)).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize(
    ("subject", "size", "computing"),
    CASES,
    indirect=["subject"],
    scope="session",  # so that both of vLLM's share the one that they are compared with
    ids=[f"{kind}-{size}" for kind, size, _ in CASES],
)
def test_two_processes_answer_as_one_does(
    subject: Subject, size: str, computing: tuple[str, str], tmp_path: Path
) -> None:
    """Every greedy answer is that of the server of one process, and no process is left."""
    alone = subject.ask(*(chat(text, **SAMPLING) for text in ASKED))
    project = _experiment(tmp_path, subject.kind.name, size)
    seen = _run(project)
    lines: list[dict[str, Any]] = results(project.last)

    assert [line["slots"]["answer"] for line in lines] == [response.text for response in alone]
    names = set().union(*seen.values())
    assert all(any(one in name for name in names) for one in computing), sorted(names)
    _, alive = psutil.wait_procs(seen, timeout=10)
    assert not alive
