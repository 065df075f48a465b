"""Runs started through the command line in their own processes, and a server that counts what it is asked."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from runner.runs import RunFolder, all_runs
from tests.http_server import Exchange
from tests.work.work_kit import completion

ROOT = Path(__file__).parents[2]
SECONDS = 120.0
"""How long anything awaited may take on a busy machine."""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with rows and experiments, and the command line in it, run by one of the interpreters."""

    folder: Path
    env: Mapping[str, str]
    python: str = sys.executable

    def rows(self, count: int, text: Callable[[int], str] = "question {}".format) -> None:
        """Write rows whose question is its own right answer."""
        rows = ({"id": str(n), "q": text(n), "a": text(n)} for n in range(count))
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def experiment(self, name: str = "exp", **keys: Any) -> Path:
        """Write an experiment, with top-level *keys* replaced; JSON is YAML."""
        declared = {
            "model": {"name": "m"},
            "engine": {"kind": "fake"},
            "prompt": "{{ row.q }}",
            "dataset": {"path": "rows.jsonl", "target": "{{ row.a }}"},
            "scorers": {"exact": {"kind": "exact_match"}},
        } | keys
        file = self.folder / f"{name}.yaml"
        file.write_text(json.dumps(declared, indent=1))
        return file

    def start(self, *words: object, **env: str) -> Started:
        """Start the command line."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="output-", delete=False) as output:
            process = subprocess.Popen(
                [self.python, "-m", "runner", *map(str, words)],
                cwd=self.folder,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Started(process, Path(output.name))

    def command(self, *words: object, code: int = 0, **env: str) -> str:
        """Run the command line to its end, which must be *code*, and return what it printed."""
        started = self.start(*words, **env)
        assert started.wait() == code, started.printed
        return started.printed

    def status(self, run: RunFolder) -> dict[str, Any]:
        """What ``runner status --json`` says, whatever it exits with."""
        started = self.start("status", run.path, "--json")
        started.wait()
        said: dict[str, Any] = json.loads(started.printed)
        return said

    def settle(
        self, run: RunFolder, ready: Callable[[dict[str, Any]], bool], seconds: float = SECONDS
    ) -> dict[str, Any]:
        """Ask for the status until it is *ready*; fail with it when that takes too long."""
        deadline = time.monotonic() + seconds
        while not ready(status := self.status(run)):
            assert time.monotonic() < deadline, status
        return status

    @property
    def last(self) -> RunFolder:
        """The newest run."""
        return all_runs(self.folder / "runs")[-1]


@dataclass(frozen=True, slots=True)
class Started:
    """A command under way; its output goes into a file, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    def wait(self, seconds: float = SECONDS) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(seconds)

    def kill_tree(self) -> None:
        """Kill the command and everything that it started, in whatever session."""
        assert self.process.poll() is None, f"it has ended by itself: {self.printed}"
        command = psutil.Process(self.process.pid)
        command.suspend()  # it starts nothing more
        tree = [command, *command.children(recursive=True)]
        for process in tree:
            process.kill()
        psutil.wait_procs(tree[1:])
        self.process.wait()

    def kill_worker(self, run: RunFolder) -> None:
        """Kill the newest attempt's worker; the command then ends by itself."""
        os.kill(worker_of(run), signal.SIGKILL)
        assert self.wait() != 0, self.printed


def worker_of(run: RunFolder, job: int = 0) -> int:
    """Return the pid of the worker that wrote a job's newest state."""
    states = sorted(run.jobs[job].glob("[0-9]*/state.json"), key=lambda path: int(path.parent.name))
    return int(json.loads(states[-1].read_text())["pid"])


@dataclass(slots=True)
class Counting:
    """A chat endpoint that repeats the last message, and counts every message it was sent.

    Attributes:
        delay: seconds that an answer takes at least and at most.
        asked: how often each last message was received.
    """

    delay: tuple[float, float] = (0.0, 0.0)
    asked: Counter[str] = field(default_factory=Counter)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _random: random.Random = field(default_factory=lambda: random.Random(0))
    _waiting: list[Callable[[], object]] = field(default_factory=list)
    _gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._gate.set()

    async def __call__(self, exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        with self._changed:
            self.asked[text] += 1
            self._changed.notify_all()
        await asyncio.sleep(self._random.uniform(*self.delay))
        await self._opened()
        await exchange.answer(completion(text))

    async def _opened(self) -> None:
        loop, opened = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            if self._gate.is_set():
                return
            self._waiting.append(lambda: loop.call_soon_threadsafe(opened.set))
        await opened.wait()

    @property
    def total(self) -> int:
        """Requests received."""
        return self.asked.total()

    def shut(self) -> None:
        """Let every request wait from now on."""
        self._gate.clear()

    def open(self) -> None:
        """Answer again."""
        with self._changed:
            self._gate.set()
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def wait_until(self, state: Callable[[Counter[str]], bool]) -> None:
        """Return once *state* holds of what was asked."""
        with self._changed:
            assert self._changed.wait_for(lambda: state(self.asked), SECONDS), self.asked.total()

    def wait_total(self, count: int) -> None:
        """Return once so many requests have come in."""
        self.wait_until(lambda asked: asked.total() >= count)


def recorded(run: RunFolder) -> Counter[str]:
    """Return the last message of every request whose answer is on disk: in a whole line of an attempt."""
    files = run.path.glob("jobs/*/*/records.jsonl")
    lines = (line for file in files for line in file.read_bytes().splitlines(keepends=True))
    records = (json.loads(line) for line in lines if line.endswith(b"\n"))
    return Counter(
        answer["request"]["input"][-1]["content"] for record in records for answer in record["answers"]
    )


def results(run: RunFolder, point: str = "0") -> list[dict[str, Any]]:
    """Lines of a point's results.jsonl."""
    text = (run.point(point) / "results.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]
