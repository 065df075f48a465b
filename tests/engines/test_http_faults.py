"""What the HTTP client makes of servers and networks that stop half-way."""

from __future__ import annotations

import asyncio
import pickle
import socket
from typing import Any

import pytest

from runner.engines.http import HttpClient, HttpConnectError, HttpReset, HttpTimeout
from tests.engines.http_kit import Run, both_loops, echo, post, stalls_in_body
from tests.http_server import Exchange, HttpServer, head, in_turn, resets, stalls


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


async def closes_in_head(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n")
    exchange.close()


async def closes_in_second_head(exchange: Exchange) -> None:
    await exchange.send(head(103, "x: early"))
    await closes_in_head(exchange)


async def closes_in_body(exchange: Exchange) -> None:
    await exchange.send(head(200, "content-length: 10") + b"half")
    exchange.close()


async def closes_in_chunks(exchange: Exchange) -> None:
    await exchange.send(head(200, "transfer-encoding: chunked"))
    await exchange.chunk(b"half")
    exchange.close()


async def resets_in_body(exchange: Exchange) -> None:
    await exchange.send(head(200, "content-length: 10") + b"half")
    exchange.reset()


async def speaks_gibberish(exchange: Exchange) -> None:
    await exchange.send(b"no HTTP at all\r\n\r\n")
    exchange.close()


async def compresses_badly(exchange: Exchange) -> None:
    await exchange.answer(b"not gzip at all", headers=("content-encoding: gzip",))


@both_loops
@pytest.mark.parametrize("behaviour", [stalls, stalls_in_body])
def test_an_answer_that_does_not_come_is_a_timeout(run: Run, behaviour: Any) -> None:
    """Before its head or in its body; the connection is given up and the client goes on."""

    async def ask(server: HttpServer) -> None:
        async with HttpClient() as client:
            with pytest.raises(HttpTimeout, match=server.url("/")):
                await post(client, server.url("/"), timeout=1.0)
            await server.until(lambda server: server.open == 0)
            assert (await post(client, server.url("/"), b"next")).body == b"next"

    with HttpServer({"/": in_turn(behaviour, echo)}) as server:
        run(ask(server))


@both_loops
def test_times_that_run_out_all_the_while_are_timeouts_each(run: Run) -> None:
    """Twenty at a time, a few milliseconds each, so that one runs out while others begin."""

    async def chain(client: HttpClient, url: str, at: int) -> None:
        for turn in range(200):
            with pytest.raises((HttpTimeout, HttpConnectError)):  # "libcurl failed" would be neither
                await post(client, url, timeout=0.004 + 0.001 * ((at + turn) % 9))

    async def ask(server: HttpServer) -> None:
        async with HttpClient() as client:
            await asyncio.gather(*(chain(client, server.url("/"), at) for at in range(20)))

    with HttpServer({"/": stalls}) as server:
        run(ask(server))


@both_loops
@pytest.mark.parametrize(
    "behaviour",
    [
        resets,
        closes_in_head,
        closes_in_second_head,
        closes_in_body,
        closes_in_chunks,
        resets_in_body,
        speaks_gibberish,
        compresses_badly,
    ],
)
def test_an_answer_that_breaks_off_is_an_error(run: Run, behaviour: Any) -> None:
    """A part is never taken for the whole, whatever status came before it; the client goes on."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            with pytest.raises(HttpReset, match=url):
                await post(client, url)
            with pytest.raises(HttpReset, match=url):
                async with client.stream("POST", url, headers=(), timeout=20.0) as stream:
                    assert not [chunk async for chunk in stream if not b"half".startswith(chunk)]
            assert (await post(client, url, b"next")).body == b"next"

    with HttpServer({"/": in_turn(behaviour, behaviour, echo)}) as server:
        run(ask(server.url("/")))


@both_loops
@pytest.mark.parametrize("end", [b"", b"0\r\nx-trailer: 1\r\n\r\n"], ids=["bare-lines", "trailer"])
def test_an_answer_is_whole_however_its_lines_end(run: Run, end: bytes) -> None:
    """A head of bare line feeds is one, and a trailer after the body leaves the head what it is."""
    plain = b"HTTP/1.1 201 X\ncontent-length: 5\n\nwhole"
    chunked = head(201, "transfer-encoding: chunked") + b"5\r\nwhole\r\n" + end

    async def behave(exchange: Exchange) -> None:
        await exchange.send(chunked if end else plain)

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            answer = await post(client, url)
            assert (answer.status, answer.body) == (201, b"whole")
            async with client.stream("POST", url, headers=(), timeout=20.0) as stream:
                assert (stream.status, b"".join([chunk async for chunk in stream])) == (201, b"whole")

    with HttpServer({"/": behave}) as server:
        run(ask(server.url("/")))


@both_loops
def test_a_refused_connection_is_an_error_of_connecting(run: Run) -> None:
    """Nobody listens on a port that was just given back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def ask() -> None:
        async with HttpClient() as client:
            with pytest.raises(HttpConnectError, match=f"127.0.0.1:{port}"):
                await post(client, f"http://127.0.0.1:{port}/")

    run(ask())


@both_loops
def test_an_unknown_host_is_an_error_of_connecting(run: Run) -> None:
    """The name is looked up beside the event loop, and named when it isn't found."""

    async def ask() -> None:
        async with HttpClient() as client:
            with pytest.raises(HttpConnectError, match=r"unknown-host\.invalid"):
                await post(client, "http://unknown-host.invalid/")

    run(ask())


@pytest.mark.parametrize("seconds", [(0.2, 20.0), (20.0, 0.2)], ids=["connect", "whole"])
def test_a_connection_that_does_not_come_is_an_error_of_connecting(seconds: tuple[float, float]) -> None:
    """A full backlog leaves a connection unanswered; whichever time ends the wait, nobody is there."""

    async def ask(url: str) -> None:
        async with HttpClient(connect_timeout=seconds[0]) as client:
            with pytest.raises(HttpConnectError, match=url):
                await post(client, url, timeout=seconds[1])
            with pytest.raises(HttpConnectError, match=url):
                async with client.stream("GET", url, headers=(), timeout=seconds[1]):
                    pass

    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        asyncio.run(ask(f"http://127.0.0.1:{listener.getsockname()[1]}/"))


@both_loops
def test_a_kept_connection_on_which_no_answer_comes_is_a_timeout(run: Run) -> None:
    """Nothing is connected for the second request, and yet the server is there."""

    async def ask(server: HttpServer) -> None:
        async with HttpClient() as client:
            assert (await post(client, server.url("/"), b"first")).status == 200
            with pytest.raises(HttpTimeout, match=server.url("/")):
                await post(client, server.url("/"), b"second", timeout=1.0)
        assert server.connections == 1

    with HttpServer({"/": in_turn(echo, stalls)}) as server:
        run(ask(server))


def test_a_handshake_that_does_not_come_is_an_error_of_connecting() -> None:
    """Whoever accepts a connection and never speaks TLS is no server of HTTPS."""

    async def ask(url: str) -> None:
        async with HttpClient(connect_timeout=0.2) as client:
            with pytest.raises(HttpConnectError, match=url):
                await post(client, url)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        asyncio.run(ask(f"https://127.0.0.1:{listener.getsockname()[1]}/"))


def test_an_error_shows_no_secret() -> None:
    """Neither of the headers nor of the URL, and it survives a trip between processes."""

    async def ask() -> None:
        async with HttpClient() as client:
            await post(client, "http://me:secret-value@127.0.0.1:1/path?key=secret-value")

    with pytest.raises(HttpConnectError, match=r"http://127\.0\.0\.1:1/path: ") as caught:
        asyncio.run(ask())

    copy = pickle.loads(pickle.dumps(caught.value))
    assert "secret-value" not in f"{caught.value} {caught.value!r} {copy!r}"
    assert (copy.url, copy.reason) == (caught.value.url, caught.value.reason)
