"""The client of an application within the process, against small applications of the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runner.engines.asgi import App, AsgiClient, Event
from runner.engines.http import HttpReset, HttpResponse, HttpTimeout

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
URL = "http://engine/v1/chat"


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer with what was asked, in pieces."""
    body = (await receive())["body"]
    headers = [(b"x-path", scope["path"].encode()), *scope["headers"]]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    for piece in (body[:3], body[3:]):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def post(app: App, timeout: float = 20.0) -> HttpResponse:  # noqa: ASYNC109 - as the client has it
    async with AsgiClient(app) as client:
        return await client.request(
            "POST", URL, headers=["Content-Type: application/json"], body=b"[1, 2]", timeout=timeout
        )


def test_request_reaches_the_application_and_its_answer_comes_back() -> None:
    """Path, header lines and body there; status, header lines and the whole body back."""
    answer = asyncio.run(post(echo))

    assert (answer.status, answer.body) == (201, b"[1, 2]")
    assert (answer.header("X-Path"), answer.header("content-type")) == ("/v1/chat", "application/json")


@pytest.mark.parametrize("late", [False, True])
def test_request_that_nobody_waits_for_is_told_to_the_application(*, late: bool) -> None:
    """As a client that went away, so that it can end its own work."""
    told, asked = asyncio.Event(), asyncio.Event()

    async def waits(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001
        await receive()
        asked.set()
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    async def leave() -> None:
        async with AsgiClient(waits) as client:
            timeout = 0.05 if late else 20.0
            task = asyncio.ensure_future(client.request("POST", URL, headers=[], timeout=timeout))
            await asked.wait()
            if not late:
                task.cancel()
            await asyncio.wait_for(told.wait(), 5)
            await task

    with pytest.raises(HttpTimeout if late else asyncio.CancelledError):
        asyncio.run(leave())
    assert told.is_set()


@pytest.mark.parametrize("begun", [False, True])
def test_application_that_fails_is_a_reset(*, begun: bool) -> None:
    """Before its answer begins, and in the midst of it, with what it raised."""

    async def fails(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise LookupError("no such thing")

    with pytest.raises(HttpReset, match=r"broke off.*no such thing"):
        asyncio.run(post(fails))


def test_error_that_the_application_answers_and_raises_is_an_answer() -> None:
    """Frameworks raise again, for their server's log, what they have told the client of."""

    async def both(scope: dict[str, Any], receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"sorry"})
        raise LookupError("no such thing")

    answer = asyncio.run(post(both))

    assert (answer.status, answer.body) == (500, b"sorry")
