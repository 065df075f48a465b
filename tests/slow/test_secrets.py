"""The value of a secret variable is in no file of a run, in no log and in no message."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http_server import Exchange, HttpServer
from tests.slow.slow_kit import Project, results
from tests.work.work_kit import CHAT, completion, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "SERVICE_KEY"
PLAIN = "sk-plain-0123456789abcdef"
QUOTED = 'sk-"quoted"\\and-\\u0041-0123'
"""Looks different in JSON."""

PRINTER = f"""
import os, sys

def tell(event, arguments):
    if event == "open" and str(arguments[0]).endswith("records.jsonl") and arguments[2] & os.O_APPEND:
        print("the key is", os.environ["{NAME}"], "said", sys.executable, flush=True)
        print("the key is", os.environ["{NAME}"], file=sys.stderr, flush=True)

sys.addaudithook(tell)
"""
"""A sitecustomize.py: has the worker print its key once its output goes into the attempt's folder."""


async def _echo_key(exchange: Exchange) -> None:
    """Answer with the key that was sent, and refuse the row that asks for it with a message that has it."""
    key = exchange.request.headers["authorization"].removeprefix("Bearer ")
    text = exchange.request.json()["messages"][-1]["content"]
    if text == "question 3":
        await exchange.answer(json.dumps({"error": {"message": f"no, {key}"}}).encode(), 400)
        return
    await exchange.answer(completion(f"{text}: {key}"))


async def _refuse_key(exchange: Exchange) -> None:
    key = exchange.request.headers["authorization"]
    await exchange.answer(json.dumps({"error": {"message": f"Incorrect API key: {key}"}}).encode(), 401)


@pytest.fixture(params=[PLAIN, QUOTED], ids=["plain", "quoted"])
def secret(request: pytest.FixtureRequest) -> str:
    """A secret that has to be found in whatever spelling."""
    return str(request.param)


@pytest.fixture
def echoing() -> Iterator[HttpServer]:
    """A server that gives away the key it was sent."""
    with HttpServer({CHAT: _echo_key, f"/closed{CHAT}": _refuse_key}) as running:
        yield running


def _engine(server: HttpServer, path: str = "/v1") -> dict[str, object]:
    return served(server.url(path), api_key_env=NAME, concurrency=1)


def _spellings(secret: str) -> list[bytes]:
    return [secret.encode(), json.dumps(secret)[1:-1].encode()]


def _betrayed(folder: Path, secret: str) -> list[str]:
    """Return the files below a folder that hold a secret in any spelling."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(word in path.read_bytes() for word in _spellings(secret))]


def _with_dirty_git(project: Project, secret: str) -> None:
    """Make the project a git repository whose uncommitted changes hold the secret."""
    notes = project.folder / "notes.txt"
    notes.write_text("nothing yet\n")
    git = ["git", "-C", str(project.folder), "-c", "user.name=n", "-c", "user.email=e@localhost"]
    for words in (["init", "--quiet"], ["add", "notes.txt"], ["commit", "--quiet", "-m", "notes"]):
        subprocess.run([*git, *words], check=True)
    notes.write_text(f"the key is {secret}\n")


def test_secret_that_is_used_is_written_nowhere(project: Project, echoing: HttpServer, secret: str) -> None:
    """Echoed by the server, printed by the worker, standing in the diff: it is masked everywhere."""
    project.rows(6)
    project.experiment(engine=_engine(echoing))
    _with_dirty_git(project, secret)
    site = project.folder.parent / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(PRINTER)
    path = f"{site}:{project.env['PYTHONPATH']}"
    printed = project.command("run", "exp.yaml", code=3, PYTHONPATH=path, **{NAME: secret})
    printed += project.command("status", "last", "--json", code=3, **{NAME: secret})
    run = project.last

    assert {r.headers["authorization"] for r in echoing.received} == {f"Bearer {secret}"}
    assert _betrayed(project.folder / "runs", secret) == []
    assert not any(word in printed.encode() for word in _spellings(secret))
    assert results(run)[0]["slots"]["answer"] == "question 0: ***"
    assert results(run)[3]["error"]["message"].endswith("no, ***")
    assert "the key is *** said" in (run.jobs[0] / "1" / "stdout.log").read_text()
    assert "+the key is ***" in json.loads((run.path / "provenance.json").read_bytes())["git"]["diff"]


def test_refused_key_is_not_repeated(project: Project, echoing: HttpServer, secret: str) -> None:
    """A server's own message may quote the key: the error, the log and the state mask it."""
    project.rows(6)
    project.experiment(engine=_engine(echoing, "/closed/v1"))
    printed = project.command("run", "exp.yaml", code=1, **{NAME: secret})

    assert "Incorrect API key: Bearer ***" in printed
    assert not any(word in printed.encode() for word in _spellings(secret))
    assert _betrayed(project.folder / "runs", secret) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"prompt": f"${{oc.env:{NAME}}} {{{{ row.q }}}}"},
        {"model": {"name": f"${{oc.env:{NAME}}}"}},
        {"engine": {"kind": "fake", "template": f"a ${{oc.env:{NAME}}} b"}},
        {"engine": {"kind": "fake", "timeout": f"${{oc.env:{NAME}}}"}},
        {"sampling": {"temprature": f"${{oc.env:{NAME}}}"}},
        {"dataset": {"path": f"${{oc.env:{NAME}}}.jsonl"}},
        {"model": f"${{oc.env:{NAME}}}"},
        {"name": f"${{oc.env:{NAME}}}"},
    ],
    ids=["prompt", "model.name", "template", "wrong-type", "wrong-key", "missing-file", "option", "name"],
)
def test_secret_put_into_yaml_is_refused(keys: dict[str, Any], project: Project, secret: str) -> None:
    """Exit 2, nothing written, and the message names the variable or the place, never the value."""
    project.rows(6)
    project.experiment(**keys)
    printed = project.command("run", "exp.yaml", code=2, **{NAME: secret})

    assert printed.startswith("runner: ")
    assert not any(word in printed.encode() for word in _spellings(secret))
    assert not (project.folder / "runs").exists()


@pytest.mark.parametrize("key", ["prompt", "name", "sampling.temprature", "model.name"])
def test_secret_on_the_command_line_is_refused(key: str, project: Project, echoing: HttpServer) -> None:
    """An override would be kept in overrides.txt: it is refused before anything is written."""
    project.rows(6)
    project.experiment(engine=_engine(echoing))
    printed = project.command("run", "exp.yaml", f"{key}={PLAIN}", code=2, **{NAME: PLAIN})

    assert PLAIN not in printed
    assert not (project.folder / "runs").exists()
