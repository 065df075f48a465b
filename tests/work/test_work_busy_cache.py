"""A shared cache that another run holds: it keeps nothing waiting but what is looked up."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import pytest

from runner.cache import BATCH, connect
from runner.launch import StoppedJobsError
from runner.launch.preemption import GRACE_SECONDS
from tests.http_server import WAIT_SECONDS, Exchange, HttpServer
from tests.work.work_kit import CHAT, Lab, completion, served, sums

TURNS = [{"user": "{{ row.q }}"}, {"generate": "first"}, {"user": "then {{ row.q }}"}, {"generate": "second"}]


@pytest.fixture
def writer(lab: Lab) -> Iterator[Connection]:
    """Another writer of a shared cache that holds an answer of an earlier run."""
    lab.rows([{"id": "x", "q": "x", "a": "x"}])
    with closing(connect(lab.run().run.cache)) as other:
        yield other


WENT_ON = 3
"""States by which a worker shows that its loop goes on: one of before, and two half a second apart."""


class Holding:
    """Answers everything; holds the cache from the request *first* until the worker went on at *last*."""

    def __init__(self, writer: Connection, lab: Lab, first: str, last: str) -> None:
        self.asked: list[str] = []
        self.went_on = False
        self._writer = writer
        self._runs = lab.folder / "runs"
        self._first = first
        self._last = last

    async def __call__(self, exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        self.asked.append(text)
        if text == self._first:
            self._writer.execute("BEGIN EXCLUSIVE")
        if text == self._last:
            self.went_on = await went_on(self._runs)
            self._writer.rollback()
        await exchange.answer(completion(text))


def newest_state(runs: Path) -> bytes:
    """Return how the worker of the newest run stands by its own word."""
    return max(runs.glob("*/*/jobs/*/1/state.json"), key=lambda path: path.stat().st_mtime_ns).read_bytes()


async def went_on(runs: Path) -> bool:
    """Tell whether the worker of the newest run keeps saying how it stands, as it does on its loop."""
    states: set[bytes] = set()
    end = time.monotonic() + WAIT_SECONDS
    while len(states) < WENT_ON and time.monotonic() < end:
        states.add(newest_state(runs))
        await asyncio.sleep(0.01)
    return len(states) == WENT_ON


def test_a_batch_that_waits_for_the_cache_holds_up_no_request(lab: Lab, writer: Connection) -> None:
    """While the next batch can't be looked up, the worker goes on; afterwards it asks each row once."""
    lab.rows(sums(BATCH + 1))
    endpoint = Holding(writer, lab, "0", str(BATCH - 1))
    with HttpServer({CHAT: endpoint}) as server:
        result = lab.run(engine=served(server.url("/v1"), concurrency=8))

    assert endpoint.went_on
    assert result.count.ok == len(endpoint.asked) == BATCH + 1


def test_a_turn_that_waits_for_the_cache_holds_up_no_request(lab: Lab, writer: Connection) -> None:
    """While one conversation's second turn can't be looked up, another's first is answered."""
    lab.rows([{"id": text, "q": text, "a": ""} for text in "ab"])
    endpoint = Holding(writer, lab, "a", "b")
    with HttpServer({CHAT: endpoint}) as server:
        result = lab.run(engine=served(server.url("/v1"), concurrency=2), prompt={"turns": TURNS})

    assert endpoint.went_on
    assert (result.count.ok, sorted(endpoint.asked)) == (2, ["a", "b", "then a", "then b"])


def test_a_worker_that_waits_for_the_cache_heeds_a_signal(lab: Lab, writer: Connection) -> None:
    """SIGTERM ends the wait at once: nothing more is asked, whoever holds the cache."""
    lab.rows([{"id": "a", "q": "a", "a": ""}])

    async def hold(exchange: Exchange) -> None:
        writer.execute("BEGIN EXCLUSIVE")
        await exchange.answer(completion("a"))
        assert await went_on(lab.folder / "runs")
        os.kill(os.getpid(), signal.SIGTERM)

    with HttpServer({CHAT: hold}) as server:
        run = lab.prepare(engine=served(server.url("/v1")), prompt={"turns": TURNS})
        started = time.monotonic()
        with pytest.raises(StoppedJobsError, match="was told to stop"):
            lab.work(run)
        took = time.monotonic() - started
        writer.rollback()

    assert took < GRACE_SECONDS
    assert len(server.received) == 1
