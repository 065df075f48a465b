"""What the HTTP client sends, receives and keeps, against a real server."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import uvloop

from runner.engines.http import Headers, HttpClient, HttpResponse
from tests.http_server import Exchange, HttpServer, answers, chats, chunks, head, in_turn, then_close

Run: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
HEADERS = Headers(["Authorization: Bearer secret-value", "Content-Type: application/json"])
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


async def post(client: HttpClient, url: str, body: bytes = b"{}", timeout: float = 20.0) -> HttpResponse:  # noqa: ASYNC109
    return await client.request("POST", url, headers=HEADERS, body=body, timeout=timeout)


async def echo(exchange: Exchange) -> None:
    await exchange.answer(exchange.request.body)


@both_loops
def test_an_answer_has_status_body_and_headers_in_any_case(run: Run) -> None:
    """A chat completion comes back as it was sent."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            response = await post(client, url, b'{"model": "m"}')

        assert response.status == 200
        assert b"Bonjour" in response.body
        assert response.header("Content-TYPE") == "application/json"
        assert response.header("retry-after") is None

    with HttpServer({"/chat": chats("Bonjour")}) as server:
        run(ask(server.url("/chat")))


def test_a_request_arrives_as_it_was_given() -> None:
    """Method, path, headers and a body that is not ASCII; nothing is added that changes their meaning."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            await client.request(
                "POST", url, headers=["X-Name: wörld", "X-Empty:"], body="é☃".encode(), timeout=5
            )

    with HttpServer({"/a": answers()}) as server:
        asyncio.run(ask(server.url("/a?b=c")))

        request = server.received[0]
        assert (request.method, request.target, request.body.decode()) == ("POST", "/a?b=c", "é☃")
        assert (request.headers["x-name"], request.headers["x-empty"]) == ("wörld", "")
        assert request.headers["user-agent"].startswith("llm-runner/")
        assert "content-type" not in request.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_every_method_reaches_the_server(method: str) -> None:
    """And its answer is read to the end, so that the connection serves the next request."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            for _ in range(2):
                response = await client.request(method, url, headers=(), timeout=5)
                assert response.status == 200

    with HttpServer({"/": answers()}) as server:
        asyncio.run(ask(server.url("/")))

        assert [request.method for request in server.received] == [method, method]
        assert server.connections == 1


@both_loops
def test_requests_one_after_another_share_a_connection(run: Run) -> None:
    """A connection is kept, and what a handle sent before is not sent again."""

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            for number in range(20):
                response = await post(client, url, b"x" * number)
                assert response.body == b"x" * number
            assert (await client.request("POST", url, headers=(), timeout=5)).body == b""

    with HttpServer({"/": echo}) as server:
        run(ask(server.url("/")))

        assert server.connections == 1
        assert "authorization" not in server.received[-1].headers


@both_loops
def test_requests_at_once_are_in_flight_together(run: Run) -> None:
    """No request waits for another where no limit is set."""
    meeting = asyncio.Barrier(64)

    async def meet(exchange: Exchange) -> None:
        await meeting.wait()
        await echo(exchange)

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            bodies = [str(number).encode() for number in range(64)]
            responses = await asyncio.gather(*(post(client, url, body) for body in bodies))
            assert [response.body for response in responses] == bodies

    with HttpServer({"/": meet}) as server:
        run(ask(server.url("/")))


@both_loops
def test_connections_bounds_the_requests_at_once(run: Run) -> None:
    """With four connections a fifth request waits for its turn, and gets it."""

    async def ask(url: str) -> None:
        async with HttpClient(connections=4) as client:
            await asyncio.gather(*(post(client, url) for _ in range(40)))

    with HttpServer({"/": answers()}) as server:
        run(ask(server.url("/")))

        assert len(server.received) == 40
        assert server.busy <= 4
        assert server.connections <= 4


def test_waiting_for_a_turn_costs_no_request_time() -> None:
    """Five requests over one connection may take five times the time of one."""

    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.5)
        await exchange.answer()

    async def ask(url: str) -> None:
        async with HttpClient(connections=1) as client:
            await asyncio.gather(*(post(client, url, timeout=2.0) for _ in range(5)))

    with HttpServer({"/": slow}) as server:
        asyncio.run(ask(server.url("/")))


@pytest.mark.parametrize("status", [302, 400, 429, 503])
def test_a_status_that_is_no_success_is_an_answer(status: int) -> None:
    """With its headers and body; a redirect is not followed."""

    async def ask(server: HttpServer) -> HttpResponse:
        async with HttpClient() as client:
            return await post(client, server.url("/"))

    with HttpServer({"/": answers(b"why", status, "Retry-After: 7", "Location: /other")}) as server:
        response = asyncio.run(ask(server))

        assert (response.status, response.body, response.header("retry-after")) == (status, b"why", "7")
        assert len(server.received) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        answers("Ünïcode".encode()),
        chunks("Ünï".encode(), b"code"),
        answers(gzip.compress("Ünïcode".encode()), 200, "Content-Encoding: gzip"),
        then_close(lambda exchange: exchange.send(head(200, "connection: close") + "Ünïcode".encode())),
        lambda exchange: exchange.send(
            head(103, "x: early") + head(200, "x: late", "content-length: 9") + "Ünïcode".encode()
        ),
    ],
    ids=["length", "chunked", "gzip", "until closed", "after early hints"],
)
def test_a_body_is_whole_however_it_is_framed(behaviour: Any) -> None:
    """Framing and compression are undone."""

    async def ask(url: str) -> HttpResponse:
        async with HttpClient() as client:
            return await post(client, url)

    with HttpServer({"/": behaviour}) as server:
        response = asyncio.run(ask(server.url("/")))

        assert response.body.decode() == "Ünïcode"
        assert response.header("x") in {None, "late"}
        assert "gzip" in server.received[0].headers["accept-encoding"]


@both_loops
def test_large_bodies_pass_both_ways(run: Run) -> None:
    """Ten megabytes up and down, without waiting for a 100-continue."""
    body = bytes(range(256)) * 40_000

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            responses = await asyncio.gather(*(post(client, url, body) for _ in range(3)))
            assert all(response.body == body for response in responses)

    with HttpServer({"/": echo}) as server:
        run(ask(server.url("/")))

        assert "expect" not in server.received[0].headers


@both_loops
def test_a_connection_that_the_server_closed_while_idle_is_replaced(run: Run) -> None:
    """A server that closes after each answer, unannounced, is only slower."""

    async def ask(server: HttpServer) -> None:
        async with HttpClient() as client:
            for _ in range(5):
                assert (await post(client, server.url("/"), b"body")).body == b"body"
                await server.until(lambda server: server.open == 0)

    with HttpServer({"/": then_close(echo)}) as server:
        run(ask(server))

        assert server.connections == 5


@both_loops
def test_a_request_that_meets_a_closing_connection_is_sent_again(run: Run) -> None:
    """The kept connection dies as the second request arrives: its body goes whole over another."""

    async def close(exchange: Exchange) -> None:
        exchange.close()

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            assert [(await post(client, url, body)).body for body in (b"one", b"two")] == [b"one", b"two"]

    with HttpServer({"/": in_turn(echo, close, echo)}) as server:
        run(ask(server.url("/")))

        assert [request.body for request in server.received] == [b"one", b"two", b"two"]
        assert server.connections == 2


def test_headers_of_one_name_are_joined() -> None:
    """As HTTP allows, in the order in which they came."""
    response = HttpResponse(200, b"", b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:2\r\n\r\n")

    assert response.header("X-A") == "1, 2"


def test_no_representation_shows_a_header() -> None:
    """Neither of what is sent nor of what came back."""
    response = HttpResponse(200, b"text", b"HTTP/1.1 200 OK\r\nSet-Cookie: secret-value\r\n\r\n")

    assert repr(HEADERS) == "Headers(authorization, content-type)"
    assert repr(response) == "HttpResponse(status=200)"


@pytest.mark.parametrize(
    "line", ["secret-value", "Na me: secret-value", "A: secret-value\r\nB: c", "A: \0secret-value"]
)
def test_a_header_that_is_none_is_refused_without_showing_it(line: str) -> None:
    """A line break would smuggle in another field."""
    with pytest.raises(ValueError, match="header") as caught:
        Headers(["B: c", line])

    assert "secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "url", "match"),
    [("GET", "http://127.0.0.1", "has no body"), ("POST", "file:///etc/passwd", "starts with http")],
)
def test_what_is_no_http_request_is_refused(method: str, url: str, match: str) -> None:
    """Before anything is sent, and the client stays usable."""

    async def ask(good: str) -> None:
        async with HttpClient() as client:
            with pytest.raises(ValueError, match=match):
                await client.request(method, url, headers=(), body=b"x", timeout=1)
            assert (await post(client, good)).status == 200

    with HttpServer({"/": answers()}) as server:
        asyncio.run(ask(server.url("/")))
