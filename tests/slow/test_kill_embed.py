"""A kill of an embedding run loses at most the inputs in flight, with the cache and without."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from tests.http_server import Exchange, HttpServer
from tests.slow.slow_kit import SECONDS, Project, results
from tests.work.embedding_server import Embeddings, vector
from tests.work.work_kit import served

parquet = pytest.importorskip("pyarrow.parquet")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 400
AT_ONCE = 8
KILL_AFTER = 150


@dataclass
class Gated:
    """An embeddings endpoint that leaves requests unanswered from some input on, until it is opened."""

    endpoint: Embeddings = field(default_factory=Embeddings)
    shut: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, exchange: Exchange) -> None:
        if self.endpoint.asked.total() >= KILL_AFTER and not self.shut.is_set():
            self.endpoint.asked.update(exchange.request.json()["input"])
            self.reached.set()
            return  # the connection stays silent
        await self.endpoint(exchange)


@pytest.mark.parametrize("cache", [True, False])
def test_a_killed_embedding_run_resumes_with_what_is_missing(project: Project, cache: bool) -> None:
    """Every input is asked once, those in flight at the kill twice; the parts hold every vector."""
    project.rows(ROWS)
    gated = Gated()
    with HttpServer({"/v1/embeddings": gated}) as server:
        engine = served(server.url("/v1"), concurrency=AT_ONCE, batch_size=4)
        project.experiment(task="embed", engine=engine, scorers={}, cache=cache)
        started = project.start("run", "exp.yaml")
        assert gated.reached.wait(SECONDS)
        started.kill_worker(project.last)
        gated.shut.set()

        project.command("resume", "last")

    asked = gated.endpoint.asked
    assert len(asked) == ROWS
    assert asked.total() - ROWS <= AT_ONCE
    assert len(results(project.last)) == ROWS
    table = parquet.read_table(project.last.point("0") / "vectors-00000.parquet").to_pydict()
    assert table["id"] == [str(number) for number in range(ROWS)]
    assert table["vector"][7] == list(memoryview(vector("question 7")).cast("f"))
