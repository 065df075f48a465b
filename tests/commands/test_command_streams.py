"""Every command with closed, full or ASCII streams: one message or none, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from runner.launch import cancel
from runner.runs import RESOLVED_FILE, all_runs
from tests.commands.commands_kit import FILES, Outcome
from tests.launch.launch_kit import ROOT

ROWS = "".join(
    json.dumps({"id": f"r{n}", "question": f"é…± 世界 {n}", "answer": str(n)}, ensure_ascii=False) + "\n"
    for n in range(3)
)
FULL = "runner: standard output can't be written: No space left on device\n"

PRINTING: Mapping[str, tuple[str, ...]] = {
    "help": ("--help",),
    "version": ("--version",),
    "help of a command": ("run", "--help"),
    "plan": ("plan", "sums.yaml", "cache=off"),
    "plan as JSON": ("plan", "sums.yaml", "--json"),
    "render": ("render", "sums.yaml"),
    "render as JSON": ("render", "sums.yaml", "--json"),
    "config": ("run", "sums.yaml", "--cfg", "job"),
    "status": ("status", "last"),
    "status as JSON": ("status", "--all", "--json"),
    "logs": ("logs", "logged/last"),
    "cache": ("cache", "stats"),
    "explain": ("cache", "explain", "sums.yaml", "sampling.temperature=1", "--row", "r0"),
    "schema": ("schema",),
    "completion": ("completion", "bash"),
}
DOING: Mapping[str, tuple[str, ...]] = {
    "run": ("run", "sums.yaml", "cache=off"),
    "run of a local job": ("run", "sums.yaml", "cache=off", "cluster=local"),
    "resume": ("resume", "kept/last"),
    "rescore": ("rescore", "logged/last"),
    "cancel": ("cancel", "logged/last"),
    "parity": ("parity", "sums.yaml", "--engines", "parrot,twin"),
    "init": ("init", "NEW"),
}
WRONG: Mapping[str, tuple[str, ...]] = {
    "unknown command": ("nope",),
    "unknown option": ("run", "--nope"),
    "missing file": ("run", "nope.yaml"),
    "mistake in a config": ("plan", "sums.yaml", "sampling.temprature=1"),
}
SOME = {name: DOING[name] for name in ("run", "run of a local job")} | {
    name: PRINTING[name] for name in ("help", "plan", "render")
}


TWINS = {
    "conf/engine/parrot.yaml": "kind: fake\n",
    "conf/engine/twin.yaml": "kind: fake\ntemplate: '{{ last }}{# another key #}'\n",
}


class Folder:
    """A project with a finished run of a local job, in which commands run as processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = count()
        (root / "conf" / "engine").mkdir(parents=True)
        for name, text in (FILES | TWINS | {"rows.jsonl": ROWS}).items():
            (root / name).write_text(text)
        assert self.run(("run", "sums.yaml", "cluster=local", "name=logged")).code == 0
        assert self.run(("run", "sums.yaml", "name=kept")).code == 0

    def run(self, words: tuple[str, ...], redirected: str = "", **variables: str) -> Outcome:
        """Run a command as a shell with some redirections does."""
        words = tuple(f"new{next(self._made)}" if word == "NEW" else word for word in words)
        command = ["bash", "-c", f'exec "$@" {redirected}', "bash", sys.executable, "-m", "runner", *words]
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(self.root / "nobody"),
            **variables,
        }
        env.pop("RUNNER_RUNS", None)
        done = subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def all(
        self, commands: Mapping[str, tuple[str, ...]], redirected: str = "", **variables: str
    ) -> dict[str, Outcome]:
        """Run several commands at once; return what each did."""
        with ThreadPoolExecutor(3) as pool:
            done = pool.map(lambda words: self.run(words, redirected, **variables), commands.values())
            return dict(zip(commands, done, strict=True))

    def check_runs(self) -> None:
        """Check that every run is whole and complete."""
        folders = [path for path in (self.root / "runs").glob("*/*") if path.is_dir()]
        assert all((folder / RESOLVED_FILE).exists() for folder in folders)
        assert {one["state"] for one in self.run(("status", "--all", "--json")).json} == {"complete"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("streams"))


def _no_traceback(outcome: Outcome) -> bool:
    return "Traceback" not in outcome.err and "Exception ignored" not in outcome.err


def test_all_streams_closed_stops_nothing(folder: Folder) -> None:
    """No file that is opened later takes the place of a stream, into which something would be printed."""
    for name, outcome in folder.all({**PRINTING, **DOING}, "<&- >&- 2>&-").items():
        assert (name, outcome) == (name, Outcome(0, "", ""))
    for name, outcome in folder.all(WRONG, "<&- >&- 2>&-").items():
        assert (name, outcome) == (name, Outcome(2, "", ""))
    folder.check_runs()


@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&-"])
def test_one_closed_stream_stops_nothing(folder: Folder, redirected: str) -> None:
    """The others are used as ever."""
    for name, outcome in folder.all(SOME, redirected).items():
        assert (name, outcome.code) == (name, 0)
        assert bool(outcome.out) == (redirected != ">&-"), name
        assert _no_traceback(outcome), name
    folder.check_runs()


def test_full_output_is_one_message(folder: Folder) -> None:
    """The exit code says so too, and what the command is for is done nevertheless."""
    for name, outcome in folder.all({**PRINTING, **DOING}, ">/dev/full").items():
        assert (name, outcome.code) == (name, 1)
        assert outcome.err.endswith(FULL), name
        assert outcome.err.count("No space left") == 1, name
        assert _no_traceback(outcome), name
    folder.check_runs()


@pytest.mark.parametrize("redirected", ["2>/dev/full", ">/dev/full 2>/dev/full"])
def test_full_error_output_is_told_by_the_exit_code_alone(folder: Folder, redirected: str) -> None:
    """A mistake keeps its own."""
    for name, outcome in folder.all(WRONG, redirected).items():
        assert (name, outcome) == (name, Outcome(2, "", ""))
    for name, outcome in folder.all(SOME, redirected).items():
        printed = bool(outcome.out)
        assert (name, printed, outcome.err) == (name, ">/dev/full 2" not in redirected, "")
    folder.check_runs()


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict", "TERM": "dumb", "COLUMNS": "20", "NO_COLOR": "1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "dumb", "locale"],
)
def test_ascii_output_shows_everything(folder: Folder, variables: dict[str, str]) -> None:
    """What ASCII lacks is spelt in it, and JSON stays JSON."""
    done = folder.all({**PRINTING, **DOING} if len(variables) == 1 else SOME, **variables)

    for name, outcome in done.items():
        assert (name, outcome.code, outcome.err.count("Traceback")) == (name, 0, 0)
        assert outcome.out.isascii(), name
        assert outcome.err.isascii(), name
    assert "\\xe9...+- \\u4e16\\u754c 0" in done["render"].out
    rendered = folder.run(PRINTING["render as JSON"], **variables)
    assert json.loads(rendered.out.splitlines()[0])["request"]["input"][0]["content"] == "é…± 世界 0"
    folder.check_runs()


def test_output_that_is_read_only_is_one_message(folder: Folder) -> None:
    """As a shell's mistyped redirection makes it."""
    outcome = folder.run(PRINTING["plan"], "1</dev/null")

    assert outcome == Outcome(1, "", "runner: standard output can't be written: Bad file descriptor\n")


def test_jobs_of_the_project_are_over(folder: Folder) -> None:
    """No job outlives these tests."""
    for run in all_runs(folder.root / "runs"):
        cancel(run.path)
    folder.check_runs()
