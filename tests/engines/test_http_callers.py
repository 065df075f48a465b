"""What the HTTP client makes of callers that stop half-way."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from runner.engines.http import HttpClient, HttpClosed, HttpError, HttpResponse
from tests.engines.http_kit import Run, both_loops, echo, post, stalls_in_body
from tests.http_server import HttpServer, answers, in_turn, stalls


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


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


PROGRAM = """
import asyncio, os, sys
from runner.engines.http import HttpClient

os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # on a busy machine all takes long
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
