"""Runs prepared for tests of the work loop, and a server that counts what it is asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.config import compose
from runner.fold import PointCounts, fold_run
from runner.plan import make_plan
from runner.prepare import specify, write_run
from runner.runs import RunFolder
from runner.start import launch_jobs, serve_cached, unfinished
from tests.http_server import Behaviour, Exchange

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Lab:
    """A folder with rows and an experiment, whose runs are worked inside this process."""

    folder: Path

    def rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the dataset."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "rows.jsonl").write_text(text)

    def prepare(self, *overrides: str, **keys: Any) -> RunFolder:
        """Write a run of the experiment, with top-level *keys* replaced."""
        declared = {
            "model": {"name": "m"},
            "engine": {"kind": "fake"},
            "prompt": "{{ row.q }}",
            "dataset": {"path": "rows.jsonl", "target": "{{ row.a }}"},
            "scorers": {"exact": {"kind": "exact_match"}},
            "cluster": {"kind": "inline"},
        } | keys
        file = self.folder / "lab.yaml"
        file.write_text(json.dumps(declared))
        plan = make_plan(compose(file, overrides))
        return write_run(plan, specify(plan), ["lab"])

    def run(self, *overrides: str, **keys: Any) -> Result:
        """Prepare a run and work it to its end."""
        run = self.prepare(*overrides, **keys)
        serve_cached(run)
        return self.work(run)

    def work(self, run: RunFolder, *, retry_final: bool = False) -> Result:
        """Work what a run is missing."""
        jobs = unfinished(run, fold_run(run), retry_final=retry_final)
        launch_jobs(run, jobs)
        return Result(run, fold_run(run), len(jobs))


@dataclass(frozen=True, slots=True)
class Result:
    """A run after it was worked."""

    run: RunFolder
    counts: dict[str, PointCounts]
    jobs: int

    @property
    def count(self) -> PointCounts:
        """Counts of the only point."""
        (count,) = self.counts.values()
        return count

    def lines(self, point: str = "0") -> list[dict[str, Any]]:
        """Lines of results.jsonl."""
        text = (self.run.point(point) / "results.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def metrics(self, point: str = "0") -> dict[str, Any]:
        """Contents of metrics.json."""
        metrics: dict[str, Any] = json.loads((self.run.point(point) / "metrics.json").read_text())
        return metrics

    def state(self, attempt: int = 1) -> dict[str, Any]:
        """What the worker of the only job said of an attempt."""
        state: dict[str, Any] = json.loads((self.run.jobs[0] / str(attempt) / "state.json").read_text())
        return state


class Echo:
    """A chat endpoint that repeats the last message, and counts every message it was sent."""

    def __init__(self, refuse: Callable[[str], tuple[int, str] | None] = lambda _: None) -> None:
        self.asked: Counter[str] = Counter()
        self._refuse = refuse

    async def __call__(self, exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        self.asked[text] += 1
        refusal = self._refuse(text)
        if refusal is not None:
            status, message = refusal
            await exchange.answer(json.dumps({"error": {"message": message}}).encode(), status)
            return
        await exchange.answer(completion(text))


def completion(text: str) -> bytes:
    """A chat completion in the words of OpenAI's API."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def served(url: str, **settings: Any) -> dict[str, Any]:
    """Engine settings for a server."""
    return {"kind": "openai_compatible", "base_url": url, "concurrency": 8, "max_attempts": 2, **settings}


def sums(count: int) -> list[dict[str, Any]]:
    """Rows whose question is its own right answer."""
    return [{"id": str(number), "q": f"{number}", "a": f"{number}"} for number in range(count)]


__all__ = ["CHAT", "Behaviour", "Echo", "Lab", "Result", "completion", "served", "sums"]
