"""Streams that whoever reads them leaves early, and streams that break off."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from runner import LLM
from runner.errors import ServerError
from tests.http_server import Exchange, HttpServer, answers, chats, head, in_turn
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


def breaks_off(exchange: Exchange) -> Awaitable[None]:
    """Half an answer, an event that says why, and the end."""
    said = b'data: {"choices":[{"index":0,"delta":{"content":"4"},"finish_reason":null}]}\n\n'
    body = said + b'event: error\ndata: {"message":"upstream died","code":500}\n\ndata: [DONE]\n\n'
    return exchange.answer(body, 200, ("content-type: text/event-stream",))


@pytest.mark.usefixtures("lab")
def test_stream_that_breaks_off_raises_the_servers_error() -> None:
    """Its text was half an answer, and is never taken for a whole one."""
    with HttpServer({CHAT: breaks_off}) as server:
        engine = {"kind": "openai_compatible", "base_url": server.url("/v1")}
        with LLM({"name": "m"}, engine=engine) as llm:
            stream = llm.stream_sync("x")
            assert next(stream) == "4"
            with pytest.raises(ServerError, match="upstream died"):
                next(stream)


@pytest.mark.usefixtures("lab")
def test_broken_stream_is_not_cached() -> None:
    """The next request is sent, and its answer is the one that stays."""
    whole = b'data: {"choices":[{"index":0,"delta":{"content":"42"},"finish_reason":"stop"}]}\n\n'
    with HttpServer({CHAT: in_turn(breaks_off, answers(whole))}) as server:
        engine = {
            "kind": "openai_compatible",
            "base_url": server.url("/v1"),
            "stream": True,
            "max_attempts": 1,
        }
        with LLM({"name": "m"}, engine=engine) as llm:
            with pytest.raises(ServerError, match="upstream died"):
                llm.generate_sync("x")
            assert [llm.generate_sync("x").text for _ in range(2)] == ["42", "42"]
        assert len(server.received) == 2


@pytest.mark.usefixtures("lab")
def test_odd_field_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """By the logger of the package."""
    message = {"role": "assistant", "content": "42"}
    body = {"choices": [{"index": 0, "message": message}], "usage": {"prompt_tokens": 0.5}}
    with HttpServer({CHAT: answers(json.dumps(body).encode())}) as server:
        engine = {"kind": "openai_compatible", "base_url": server.url("/v1")}
        with LLM({"name": "m"}, engine=engine, cache=False) as llm:
            assert [llm.generate_sync(text).text for text in "ab"] == ["42", "42"]

    (record,) = [one for one in caplog.records if one.name == "runner"]
    assert "usage.prompt_tokens 0.5" in record.getMessage()
