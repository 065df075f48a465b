"""What the HTTP client makes of servers, networks and callers that stop half-way."""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import uvloop

from runner.engines.http import (
    Headers,
    HttpClient,
    HttpClosed,
    HttpConnectError,
    HttpError,
    HttpReset,
    HttpResponse,
    HttpTimeout,
)
from tests.http_server import Exchange, HttpServer, answers, head, in_turn, resets, stalls

Run: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
HEADERS = Headers(["Authorization: Bearer secret-value"])
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


async def post(client: HttpClient, url: str, body: bytes = b"{}", timeout: float = 20.0) -> HttpResponse:  # noqa: ASYNC109
    return await client.request("POST", url, headers=HEADERS, body=body, timeout=timeout)


async def echo(exchange: Exchange) -> None:
    await exchange.answer(exchange.request.body)


async def stalls_in_body(exchange: Exchange) -> None:
    await exchange.send(head(200, "content-length: 10") + b"half")
    await exchange.stall()


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
            with pytest.raises(HttpTimeout, match="timed out"):
                await post(client, server.url("/"), timeout=0.2)
            await server.until(lambda server: server.open == 0)
            assert (await post(client, server.url("/"), b"next")).body == b"next"

    with HttpServer({"/": in_turn(behaviour, echo)}) as server:
        run(ask(server))


@both_loops
@pytest.mark.parametrize(
    "behaviour",
    [resets, closes_in_body, closes_in_chunks, resets_in_body, speaks_gibberish, compresses_badly],
)
def test_an_answer_that_breaks_off_is_an_error(run: Run, behaviour: Any) -> None:
    """A part is never taken for the whole, whatever status came before it; the client goes on."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            with pytest.raises(HttpReset, match=url):
                await post(client, url)
            assert (await post(client, url, b"next")).body == b"next"

    with HttpServer({"/": in_turn(behaviour, echo)}) as server:
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
            with pytest.raises(HttpConnectError, match="timed out"):
                await post(client, url, timeout=seconds[1])
            with pytest.raises(HttpConnectError, match="timed out"):
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
            with pytest.raises(HttpTimeout, match="timed out"):
                await post(client, server.url("/"), b"second", timeout=0.2)
        assert server.connections == 1

    with HttpServer({"/": in_turn(echo, stalls)}) as server:
        run(ask(server))


def test_a_handshake_that_does_not_come_is_an_error_of_connecting() -> None:
    """Whoever accepts a connection and never speaks TLS is no server of HTTPS."""

    async def ask(url: str) -> None:
        async with HttpClient(connect_timeout=0.2) as client:
            with pytest.raises(HttpConnectError, match="timed out"):
                await post(client, url)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        asyncio.run(ask(f"https://127.0.0.1:{listener.getsockname()[1]}/"))


@both_loops
def test_a_cancelled_request_is_ended(run: Run) -> None:
    """Its connection is closed at once, and its handle serves the next request."""

    async def ask(server: HttpServer) -> None:
        async with HttpClient() as client:
            task = asyncio.create_task(post(client, server.url("/")))
            await server.until(lambda server: len(server.received) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.until(lambda server: server.open == 0)
            assert (await post(client, server.url("/"), b"next")).body == b"next"

    with HttpServer({"/": in_turn(stalls_in_body, echo)}) as server:
        run(ask(server))


@both_loops
def test_cancelling_some_requests_leaves_the_others_their_own_answers(run: Run) -> None:
    """At whatever moment it comes, round after round."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            for number in range(30):
                bodies = [f"{number}-{place}".encode() for place in range(24)]
                tasks = [asyncio.create_task(post(client, url, body)) for body in bodies]
                for _ in range(number):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                for body, outcome in zip(bodies, outcomes, strict=True):
                    if isinstance(outcome, HttpResponse):
                        assert outcome.body == body
                    else:
                        assert isinstance(outcome, asyncio.CancelledError)
                assert all(isinstance(outcome, HttpResponse) for outcome in outcomes[1::2])

    with HttpServer({"/": echo}) as server:
        run(ask(server.url("/")))


@both_loops
def test_a_request_cancelled_before_its_turn_takes_no_place(run: Run) -> None:
    """Whoever waits behind it is served."""

    async def ask(server: HttpServer) -> None:
        async with HttpClient(connections=1) as client:
            stalled, waiting, last = (asyncio.create_task(post(client, server.url("/"))) for _ in range(3))
            await server.until(lambda server: len(server.received) == 1)
            waiting.cancel()
            stalled.cancel()
            assert (await last).status == 200

    with HttpServer({"/": in_turn(stalls, answers())}) as server:
        run(ask(server))


@both_loops
def test_closing_ends_what_is_in_flight(run: Run) -> None:
    """With an error that says so, on requests in every stage, and nothing hangs."""

    async def ask(server: HttpServer) -> None:
        async with HttpClient(connections=3) as client:
            urls = [server.url("/"), server.url("/body"), "http://unknown-host.invalid/", server.url("/")]
            tasks = [asyncio.create_task(post(client, url)) for url in urls]
            await server.until(lambda server: len(server.received) >= 2)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:2]] == [HttpClosed, HttpClosed]
        assert all(isinstance(outcome, HttpError) for outcome in outcomes)
        await server.until(lambda server: server.open == 0)

    with HttpServer({"/": stalls, "/body": stalls_in_body}) as server:
        run(ask(server))


def test_a_client_that_is_not_open_says_so() -> None:
    """Before it is entered and after it was left."""

    async def ask() -> None:
        client = HttpClient()
        with pytest.raises(HttpClosed, match="not open"):
            await post(client, "http://127.0.0.1/")
        async with client:
            pass
        with pytest.raises(HttpClosed, match="not open"):
            await post(client, "http://127.0.0.1/")

    asyncio.run(ask())


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


PROGRAM = """
import asyncio, os, sys
from runner.engines.http import HttpClient

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])

async def main():
    client = HttpClient()
    await client.__aenter__()
    ask = [client.request("POST", sys.argv[1], headers=(), body=b"{}", timeout=9) for _ in range(8)]
    await asyncio.gather(*ask)
    if sys.argv[2] == "in flight":
        tasks = [asyncio.ensure_future(client.request("GET", url, headers=(), timeout=9))
                 for url in (sys.argv[1] + "stall", "http://unknown-host.invalid")]
        asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)
    if sys.argv[2] == "closed":
        await client.__aexit__(None, None, None)

asyncio.run(main())
"""


@pytest.mark.parametrize("left", ["closed", "open", "in flight"])
def test_a_process_ends_well_however_its_client_was_left(left: str) -> None:
    """Pinned to one core, where threads that outlive the interpreter would abort it."""
    with HttpServer({"/": answers(), "/stall": stalls}) as server:
        for _ in range(5):
            arguments = [sys.executable, "-X", "dev", "-c", PROGRAM, server.url("/"), left]
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)

            assert (done.returncode, done.stderr) == (0, "")
