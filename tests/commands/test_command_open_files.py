"""Limits on open files: raised where possible, else one message before anything is written."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from runner.launch import cancel
from runner.runs import RESOLVED_FILE
from tests.commands.commands_kit import Outcome, Project
from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer, chats
from tests.launch.launch_kit import ROOT

ROWS = "".join(f'{{"id": "r{n}", "question": "{n}", "answer": "Paris"}}\n' for n in range(100))


def _ran(made: Project, soft: int, hard: int, *words: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "runner", *words],
        cwd=made.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "*"},
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def _runs(made: Project) -> list[Path]:
    found = list((made.root / "runs").glob("*/*"))
    for run in found:
        cancel(run)
    return found


@pytest.mark.parametrize("cluster", ["inline", "local"])
def test_sixty_four_files_are_enough_without_connections(project: MakeProject, cluster: str) -> None:
    """However many requests may be in flight: this engine opens none."""
    made = project({"rows.jsonl": ROWS})

    done = _ran(made, 64, 64, "run", "sums.yaml", f"cluster={cluster}", "engine.concurrency=256")

    assert (done.code, len(_runs(made))) == (0, 1), done


@pytest.mark.parametrize("cluster", ["inline", "local"])
def test_more_connections_than_files_are_refused(project: MakeProject, cluster: str) -> None:
    """The message names the limit, what is needed, and what would fit; nothing is written."""
    made = project({"rows.jsonl": ROWS})
    with HttpServer({"/v1/chat/completions": chats("Paris")}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', concurrency: 256}}"
        words = ("run", "sums.yaml", f"cluster={cluster}", engine)
        refused = _ran(made, 64, 64, *words)
        left = _runs(made)
        fitting = _ran(made, 64, 64, *words, "engine.concurrency=32")
        raised = _ran(made, 64, 1024, *words, "cache=off")

    assert refused.code == 2
    assert refused.err == (
        "runner: 0-parrot needs up to 132 open files, 100 of them for requests in flight; "
        "the limit here is 64\n    raise it (ulimit -n 132), or set engine.concurrency to at most 32\n"
    )
    assert left == []
    assert fitting.code == 0, fitting
    assert raised.code == 0, raised


def test_resume_is_refused_alike(project: MakeProject) -> None:
    """Its run stays as it was."""
    made = project({"rows.jsonl": ROWS})
    with HttpServer({"/v1/chat/completions": chats("Paris")}) as server:
        engine = f"engine={{kind: openai_compatible, base_url: '{server.url('/v1')}', concurrency: 256}}"
        run = made.prepare(engine)
        refused = _ran(made, 64, 64, "resume", "last")
        resumed = _ran(made, 64, 1024, "resume", "last")

    assert (refused.code, "the limit here is 64" in refused.err) == (2, True)
    assert (resumed.code, made.last.path) == (0, run.path)


@pytest.mark.parametrize("files", [5, 8, 10, 12, 16, 20])
@pytest.mark.parametrize("cluster", ["inline", "local"])
def test_too_few_files_for_anything_are_a_message(project: MakeProject, cluster: str, files: int) -> None:
    """Whatever can't be opened first."""
    made = project({})

    done = _ran(made, files, files, "run", "sums.yaml", f"cluster={cluster}")

    assert done.code in {1, 2}
    assert "Traceback" not in done.err
    assert all((run / RESOLVED_FILE).exists() for run in _runs(made))
