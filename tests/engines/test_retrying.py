"""Requests are asked again here and nowhere else."""

from __future__ import annotations

import asyncio
import time

import pytest

from runner.engines.base import Engine
from runner.engines.limits import Limiter
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.engines.retrying import Backoff, Retrying
from runner.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    EngineError,
    EngineUnreachableError,
    MalformedError,
    RateLimitError,
    RequestTimeoutError,
    RetryableError,
    ServerError,
)
from runner.spec import Model
from runner.values import Response
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import Reply, ScriptedServer, chat, serving

QUICK = Backoff(first=0.001, longest=0.004, jitter=0.001)
CUT = Reply(chat("x" * 100), cut=True)


def engine_at(server: ScriptedServer, timeout: float = 10) -> Engine:
    """Return the engine of a scripted server, not started."""
    return KIND.create(OpenAICompatible(base_url=server.url, timeout=timeout), Model(name="m"))


def ask(
    *replies: Reply,
    attempts: int = 4,
    limiter: Limiter | None = None,
    backoff: Backoff = QUICK,
    timeout: float = 10,
) -> tuple[Response, int]:
    """Ask once through retries; return the response and how many requests the server saw."""

    async def run() -> tuple[Response, int]:
        async with serving(*replies) as server:
            inner = engine_at(server, timeout)
            async with Retrying(inner, attempts, limiter or Limiter(4), backoff) as engine:
                return await engine.generate(chat_request()), len(server.sent)

    return asyncio.run(run())


def test_first_answer_is_one_attempt() -> None:
    """What succeeds at once is sent once."""
    response, sent = ask(Reply(chat()))

    assert (response.timing.attempts, sent) == (1, 1)


@pytest.mark.parametrize(
    "reply",
    [Reply(b"", 500), Reply(b"", 529), Reply(b"", 429), Reply(b"", 408), Reply(b"", 409), CUT],
)
def test_passing_failure_is_asked_again_until_it_has_passed(reply: Reply) -> None:
    """The response tells how many attempts it took."""
    response, sent = ask(reply, reply, Reply(chat("at last")))

    assert response.text == "at last"
    assert (response.timing.attempts, sent) == (3, 3)


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequestError), (401, AuthenticationError)])
def test_final_error_is_not_asked_again(status: int, kind: type[Exception]) -> None:
    """Asking again would give the same: the good answer behind it is never fetched."""
    with pytest.raises(kind, match=f"HTTP {status}"):
        ask(Reply(b"", status), Reply(chat()))


def test_what_remains_after_the_last_attempt_says_how_many_there_were() -> None:
    """The error is still the server's, and still worth a later run."""
    with pytest.raises(ServerError, match=r"HTTP 500: Internal Server Error \(after 3 attempts\)") as caught:
        ask(Reply(b"", 500), attempts=3)

    assert caught.value.status == 500
    assert isinstance(caught.value, RetryableError)


def test_one_attempt_allowed_is_one_request() -> None:
    """max_attempts: 1 switches retries off."""
    with pytest.raises(ServerError, match=r"\(after 1 attempt\)"):
        ask(Reply(b"", 500), Reply(chat()), attempts=1)


def test_answer_that_stays_malformed_is_final_for_its_row() -> None:
    """The row is recorded with its error, not asked again by a later run."""
    with pytest.raises(MalformedError, match=r"no choices.*\(after 2 attempts\)"):
        ask(Reply(chat() | {"choices": []}), attempts=2)


def test_connection_that_stays_lost_stops_the_engine() -> None:
    """No request gets through: the engine is gone, not the row at fault."""
    with pytest.raises(EngineUnreachableError, match="after 3 attempts"):
        ask(CUT, attempts=3)


def test_timeout_that_stays_is_worth_a_later_run() -> None:
    """A slow server is no reason to stop the job."""
    with pytest.raises(RequestTimeoutError, match="after 2 attempts"):
        ask(Reply(hang=True), attempts=2, timeout=0.5)


def test_lost_connection_of_one_request_does_not_stop_the_engine_that_answers_others() -> None:
    """While others are answered, the server is there."""

    async def run() -> None:
        patient = Backoff(first=0.3, jitter=0)
        async with (
            serving(CUT, Reply(chat()), CUT) as server,
            Retrying(engine_at(server), 2, Limiter(4), patient) as engine,
        ):
            lost = asyncio.create_task(engine.generate(chat_request("lost")))
            await server.received(1)
            await engine.generate(chat_request("answered"))
            with pytest.raises(ConnectionFailedError):
                await lost

    asyncio.run(run())


def test_retry_after_is_the_least_wait() -> None:
    """A server's own word counts more than our backoff."""
    start = time.perf_counter()

    ask(Reply(b"", 503, {"retry-after-ms": "200"}), Reply(chat()))

    assert time.perf_counter() - start >= 0.2


def test_retry_after_of_a_429_holds_back_all_requests() -> None:
    """What one request was told, the others heed."""

    async def run() -> float:
        async with (
            serving(Reply(b"", 429, {"retry-after-ms": "200"}), Reply(chat())) as server,
            Retrying(engine_at(server), 1, Limiter(8), QUICK) as engine,
        ):
            with pytest.raises(RateLimitError):
                await engine.generate(chat_request("first"))
            start = time.perf_counter()
            await engine.generate(chat_request("second"))
            return time.perf_counter() - start

    assert asyncio.run(run()) >= 0.15  # a little of it had passed


def test_server_that_asks_for_more_patience_than_there_is_stops_the_job() -> None:
    """A day's quota that is used up is told at once instead of being waited for."""
    with pytest.raises(EngineError, match=r"after 1 attempt\); the server asks to wait 86400 s"):
        ask(Reply(b"", 429, {"Retry-After": "86400"}))


def test_storm_of_429s_is_weathered_with_fewer_requests_at_once() -> None:
    """Every request of a burst is answered in the end, none twice, and the limit has followed."""

    async def run() -> tuple[int, int]:
        limiter = Limiter(16)
        storm = [Reply(b"", 429, {"retry-after-ms": "5"})] * 20
        async with (
            serving(*storm, Reply(chat())) as server,
            Retrying(engine_at(server), 10, limiter, QUICK) as engine,
        ):
            answers = await asyncio.gather(*(engine.generate(chat_request(str(i))) for i in range(40)))
            assert all(answer.text == "Hello" for answer in answers)
            assert limiter.in_flight == 0
            return len(server.sent), limiter.round

    sent, halvings = asyncio.run(run())
    assert sent == 60
    assert halvings >= 2


def test_cancelled_request_gives_its_permit_back() -> None:
    """Ctrl-C in the middle of a request leaves the limiter as it was."""

    async def run() -> int:
        limiter = Limiter(1)
        async with (
            serving(Reply(hang=True)) as server,
            Retrying(engine_at(server), 3, limiter, QUICK) as engine,
        ):
            task = asyncio.create_task(engine.generate(chat_request()))
            await server.received(1)
            assert limiter.in_flight == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return limiter.in_flight

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize("reply", [Reply(b"{"), Reply(chat() | {"choices": []}), Reply(b"<html>busy</html>")])
def test_second_malformed_answer_in_a_row_ends_the_row(reply: Reply) -> None:
    """Each is paid for: however many attempts are allowed, the good answer behind two is never fetched."""
    with pytest.raises(MalformedError, match=r"\(after 2 attempts\)"):
        ask(reply, reply, Reply(chat()), attempts=6)


def test_single_malformed_answer_is_asked_again() -> None:
    """It may have been a slip."""
    response, sent = ask(Reply(b"{"), Reply(chat("at last")))

    assert (response.text, sent) == ("at last", 2)


def test_malformed_answers_that_are_not_in_a_row_end_nothing() -> None:
    """Another failure between them begins the count anew."""
    response, sent = ask(Reply(b"{"), Reply(b"", 500), Reply(b"{"), Reply(chat("at last")))

    assert (response.text, sent) == ("at last", 4)


def test_one_attempt_allowed_ends_with_the_first_malformed_answer() -> None:
    """It is final for its row."""
    with pytest.raises(MalformedError, match=r"\(after 1 attempt\)"):
        ask(Reply(b"{"), Reply(chat()), attempts=1)
