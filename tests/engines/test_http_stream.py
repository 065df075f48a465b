"""Answers that are read while they arrive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import uvloop

from runner.engines.http import HttpClient, HttpClosed, HttpReset, HttpStream, HttpTimeout
from tests.http_server import WAIT_SECONDS, Exchange, HttpServer, answers, chunks, head, stalls

Run: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


async def breaks_off(exchange: Exchange) -> None:
    await exchange.send(head(200, "transfer-encoding: chunked"))
    await exchange.chunk(b"half")
    exchange.close()


@both_loops
def test_chunks_are_here_before_the_answer_is_complete(run: Run) -> None:
    """The server sends the second only after the client has read the first."""
    first_read = threading.Event()

    async def behave(exchange: Exchange) -> None:
        await exchange.send(head(103, "x: early") + head(200, "x: late", "transfer-encoding: chunked"))
        await exchange.chunk(b"first")
        assert await asyncio.to_thread(first_read.wait, WAIT_SECONDS)
        await exchange.chunk(b"second")
        await exchange.chunk(b"")

    async def ask(url: str) -> list[bytes]:
        read = []
        async with (
            HttpClient() as client,
            client.stream("POST", url, headers=(), body=b"{}", timeout=20) as stream,
        ):
            assert (stream.status, stream.header("X")) == (200, "late")
            async for chunk in stream:
                read.append(chunk)
                first_read.set()
        return read

    with HttpServer({"/": behave}) as server:
        assert run(ask(server.url("/"))) == [b"first", b"second"]


@both_loops
def test_streams_share_connections_with_requests(run: Run) -> None:
    """A stream that was read to its end leaves its connection for the next."""

    async def ask(url: str) -> None:
        async with HttpClient(connections=1) as client:
            for _ in range(3):
                async with client.stream("GET", url, headers=(), timeout=5) as stream:
                    assert b"".join([chunk async for chunk in stream]) == b"abc"
                assert (await client.request("GET", url, headers=(), timeout=5)).body == b"abc"

    with HttpServer({"/": chunks(b"a", b"bc")}) as server:
        run(ask(server.url("/")))

        assert server.connections == 1


def test_a_refusal_can_be_read_like_an_answer() -> None:
    """Status, headers and body of what is no success."""

    async def ask(url: str) -> None:
        async with HttpClient() as client, client.stream("GET", url, headers=(), timeout=5) as stream:
            assert (stream.status, stream.header("retry-after")) == (429, "3")
            assert [chunk async for chunk in stream] == [b"slower"]

    with HttpServer({"/": answers(b"slower", 429, "Retry-After: 3")}) as server:
        asyncio.run(ask(server.url("/")))


@both_loops
def test_leaving_a_stream_early_ends_the_request(run: Run) -> None:
    """The server sees its connection go, and the client goes on."""

    async def endless(exchange: Exchange) -> None:
        await exchange.send(head(200, "transfer-encoding: chunked"))
        while True:
            await exchange.chunk(b"more")

    async def ask(server: HttpServer) -> None:
        async with HttpClient(connections=1) as client:
            async with client.stream("GET", server.url("/"), headers=(), timeout=20) as stream:
                async for chunk in stream:
                    assert chunk
                    break
            await server.until(lambda server: server.open == 0)
            assert (await client.request("GET", server.url("/a"), headers=(), timeout=5)).status == 200

    with HttpServer({"/": endless, "/a": answers()}) as server:
        run(ask(server))


@both_loops
def test_a_stream_that_breaks_off_is_an_error_after_what_came(run: Run) -> None:
    """What arrived is handed on first; the end is never taken for a good one."""

    async def ask(url: str) -> None:
        read = []

        async def read_all(stream: HttpStream) -> None:
            async for chunk in stream:
                read.append(chunk)  # noqa: PERF401 - what came before the error counts

        async with HttpClient() as client, client.stream("GET", url, headers=(), timeout=5) as stream:
            with pytest.raises(HttpReset, match=url):
                await read_all(stream)
        assert read == [b"half"]

    with HttpServer({"/": breaks_off}) as server:
        run(ask(server.url("/")))


@both_loops
def test_a_stream_whose_head_does_not_come_is_a_timeout(run: Run) -> None:
    """Raised on entering."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            with pytest.raises(HttpTimeout, match=url):
                async with client.stream("GET", url, headers=(), timeout=1.0):
                    pytest.fail("there is nothing to read")

    with HttpServer({"/": stalls}) as server:
        run(ask(server.url("/")))


@both_loops
def test_closing_the_client_ends_its_streams(run: Run) -> None:
    """With the error that says so."""

    async def stalls_after_head(exchange: Exchange) -> None:
        await exchange.send(head(200, "content-length: 5"))
        await exchange.stall()

    async def ask(url: str) -> None:
        client = HttpClient()
        await client.__aenter__()
        async with client.stream("GET", url, headers=(), timeout=20) as stream:
            await client.__aexit__(None, None, None)
            with pytest.raises(HttpClosed, match="closed"):
                assert not [chunk async for chunk in stream]

    with HttpServer({"/": stalls_after_head}) as server:
        run(ask(server.url("/")))


@both_loops
def test_a_slow_reader_holds_the_server_back(run: Run) -> None:
    """Of 64 MB only what the client and the sockets hold is sent before it is read; then all of it."""
    sent = []

    async def pour(exchange: Exchange) -> None:
        await exchange.send(head(200, f"content-length: {64 << 20}"))
        for _ in range(64):
            await exchange.send(b"x" * (1 << 20))
            sent.append(1 << 20)

    async def ask(server: HttpServer) -> None:
        url, other = server.url("/"), server.url("/other")
        async with HttpClient() as client, client.stream("GET", url, headers=(), timeout=60) as stream:
            for _ in range(100):
                await client.request("GET", other, headers=(), timeout=5)
            assert sum(sent) < 32 << 20
            assert sum([len(chunk) async for chunk in stream]) == 64 << 20

    with HttpServer({"/": pour}) as server:
        run(ask(server))
