"""A job's state file, while it can't be written."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.http_server import Exchange, HttpServer, in_turn
from tests.work.work_kit import CHAT, Echo, Lab, completion, served, sums


async def failed_write(state: Path) -> None:
    """Return once a write has come to nothing: its temporary file came and went beside the folder."""
    before = state.parent.stat().st_mtime_ns
    async with asyncio.timeout(60):
        while state.parent.stat().st_mtime_ns == before or any(state.parent.glob(".state.json.*.tmp")):  # noqa: ASYNC110 - a file tells no event
            await asyncio.sleep(0.02)


def test_state_that_cannot_be_written_for_a_while_fails_no_job(lab: Lab) -> None:
    """How far it is, is told the next time; what is asked meanwhile goes on."""
    lab.rows(sums(2))

    async def keeps_out(exchange: Exchange) -> None:
        (state,) = lab.folder.rglob("jobs/*/1/state.json")
        state.unlink()
        state.mkdir()
        await failed_write(state)
        state.rmdir()
        await exchange.answer(completion(exchange.request.json()["messages"][-1]["content"]))

    with HttpServer({CHAT: in_turn(keeps_out, Echo())}) as server:
        result = lab.run(engine=served(server.url("/v1"), concurrency=1))

    assert result.count.ok == 2
    assert (result.state()["state"], result.state()["progress"]["done"]) == ("complete", 2)
