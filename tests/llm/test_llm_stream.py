"""Streams that whoever reads them leaves early."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from runner import LLM
from tests.http_server import Exchange, HttpServer, chats, head, in_turn
from tests.work.work_kit import CHAT


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """What nobody ends stays."""
    gc.disable()
    yield
    gc.enable()


async def says_much(exchange: Exchange) -> None:
    """Far more than a reader who has stopped lets in, and no end."""
    piece = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [piece]}
    await exchange.send(head(200, "content-type: text/event-stream", "transfer-encoding: chunked"))
    await exchange.chunk(b"data: %s\n\n" % json.dumps(chunk).encode() * 400)
    await exchange.stall()


def leave(llm: LLM) -> None:
    stream: Iterator[str] = llm.stream_sync("x")
    assert next(stream) == "word "
    stream.close()  # type: ignore[attr-defined]


def leave_awaited(llm: LLM) -> None:
    async def read() -> None:
        stream: AsyncIterator[str] = llm.stream("x")
        assert await anext(stream) == "word "
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(read())


@pytest.mark.usefixtures("lab", "_no_collector")
@pytest.mark.parametrize("left", [leave, leave_awaited])
def test_leaving_a_stream_ends_its_request(left: Callable[[LLM], None]) -> None:
    """However much of it has come; its place among the requests in flight is free again."""
    with HttpServer({CHAT: in_turn(says_much, chats("next"))}) as server:
        engine = {"kind": "openai_compatible", "base_url": server.url("/v1"), "concurrency": 1}
        with LLM({"name": "m"}, engine=engine) as llm:
            left(llm)
            server.wait_until(lambda server: server.open == 0)
            assert llm.generate_sync("x").text == "next"
