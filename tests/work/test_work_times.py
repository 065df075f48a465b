"""engine.stream: the times of the pieces stand in each response, and their middle in metrics.json."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.http_server import Exchange, HttpServer, head
from tests.work.work_kit import CHAT, Lab

ROWS = [{"q": str(number), "a": str(number)} for number in range(3)]


def event(**choice: Any) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, **choice}]})}\n\n".encode()


async def speaks(exchange: Exchange) -> None:
    """Answers with three pieces where it is asked for pieces, and else at once."""
    if not exchange.request.json().get("stream"):
        message = {"role": "assistant", "content": "abc"}
        await exchange.answer(json.dumps({"choices": [{"index": 0, "message": message}]}).encode())
        return
    await exchange.send(head(200, "transfer-encoding: chunked"))
    for text in "abc":
        await exchange.chunk(event(delta={"content": text}))
    await exchange.chunk(event(delta={}, finish_reason="stop") + b"data: [DONE]\n\n")
    await exchange.chunk(b"")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer({CHAT: speaks}) as served:
        yield served


def engine(server: HttpServer, **further: Any) -> dict[str, Any]:
    return {"kind": "openai_compatible", "base_url": server.url("/v1"), **further}


def test_times_are_in_responses_and_metrics(lab: Lab, server: HttpServer) -> None:
    """Mean and median over the responses that have them, in seconds."""
    lab.rows(ROWS)

    result = lab.run(engine=engine(server, stream=True))

    with closing(sqlite3.connect(result.run.point("0") / "cache.sqlite")) as db:
        stored = [json.loads(row[0])["timing"] for row in db.execute("select response from responses")]
    assert len(stored) == 3
    times = result.metrics()["times"]
    for name in ("first_token", "inter_token"):
        found = sorted(timing[name] for timing in stored)
        assert times[name] == pytest.approx({
            "mean": sum(found) / 3,
            "median": found[1],
            "responses": 3,
            "cached": 0,
        })


def test_answers_that_come_at_once_have_no_such_times(lab: Lab, server: HttpServer) -> None:
    """Nothing is made up for them."""
    lab.rows(ROWS)

    assert lab.run(engine=engine(server)).metrics()["times"] == {}
