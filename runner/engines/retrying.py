"""The one place where a request is asked again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from msgspec import structs

from runner.engines.base import Engine
from runner.engines.limits import Limiter
from runner.engines.sending import Sending
from runner.engines.unservable import unservable, unserved_constraint
from runner.errors import (
    AskError,
    ConnectionFailedError,
    EngineError,
    EngineUnreachableError,
    MalformedError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    RetryableError,
    ServerError,
    unvaried,
)
from runner.values import Request, Response


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before asking again: doubling, never less than the server asks for.

    Attributes:
        first: seconds after the first failure.
        longest: most seconds that doubling leads to.
        jitter: up to this many seconds are added, so that waiting requests don't come back as one.
        patience: a server that asks for more than this many seconds isn't waited for.
    """

    first: float = 1.0
    longest: float = 60.0
    jitter: float = 1.0
    patience: float = 600.0


class Retrying:
    """An engine in front of another that asks again what may succeed the next time.

    Every sending takes a permit of the limiter; none is held while waiting. `Response.timing.attempts`
    counts the attempts. What still fails after the last one is raised:

    - a malformed answer as `MalformedError`, final for its row; two in a row are enough;
    - a lost connection as `EngineUnreachableError`, if no other request was answered meanwhile;
    - the same 500 to each attempt of a constrained request, as `UnservableRequestError`, if the server
      answers others;
    - a server that asks for more patience than there is, as `EngineError`;
    - all else as it was, with the number of attempts in its message.
    """

    def __init__(
        self,
        engine: Engine,
        max_attempts: int,
        limiter: Limiter,
        backoff: Backoff | None = None,
        tell: Callable[[str], None] = lambda _: None,
        retried: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Stand in front of *engine*.

        Args:
            engine: answers the requests.
            max_attempts: how often one is sent at most.
            limiter: gives the permits.
            backoff: how long to wait before asking again.
            tell: is told why a request is about to be sent again, and nothing once none waits for that.
            retried: is called with the `RETRY_KINDS` of what failed whenever a request is sent again.
        """
        self._engine = engine
        self._limiter = limiter
        self._max_attempts = max_attempts
        self._backoff = backoff or Backoff()
        self._tell = tell
        self._retried = retried
        self._answers = 0
        self._failures = 0
        """Of these, errors: what the server said in place of an answer."""
        self._given_up = 0
        """Requests whose last attempt failed."""
        self._last_given_up = -1
        """How many good answers there were when the last of these was given up."""
        self._retrying = 0
        """Requests whose first attempt failed and that are neither answered nor given up."""

    @property
    def version(self) -> str | None:
        """Version of the engine behind this."""
        return self._engine.version

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.__aexit__(kind, error, trace)

    async def generate(self, request: Request, sending: Sending | None = None) -> Response:
        """Answer a request; one of which chunks were handed on is never sent again."""
        # What `_send` does, without a coroutine more: nearly all requests succeed at once.
        limiter, answers, good = self._limiter, self._answers, self._answered
        if not limiter.take():
            await limiter.wait()
        sent_in = limiter.round
        try:
            response = await self._sent(request, sending)
        except AskError as error:
            self._note_failure(error, sent_in)
            if not isinstance(error, RetryableError) or (sending is not None and sending.heard):
                raise
            failure = error
        else:
            self._answers += 1
            limiter.answered()
            return response
        finally:
            limiter.release()
        self._retrying += 1
        try:
            return await self._again(request, failure, (answers, good), sending)
        finally:
            self._retrying -= 1
            if not self._retrying:
                self._tell("")

    def _sent(self, request: Request, sending: Sending | None) -> Coroutine[Any, Any, Response]:
        return self._engine.generate(request) if sending is None else sending.ask(self._engine, request)

    async def _send(self, request: Request, sending: Sending | None) -> Response:
        """Send a request once, when there is a permit."""
        limiter = self._limiter
        if not limiter.take():
            await limiter.wait()
        sent_in = limiter.round
        try:
            response = await self._sent(request, sending)
        except AskError as error:
            self._note_failure(error, sent_in)
            raise
        finally:
            limiter.release()
        self._answers += 1
        limiter.answered()
        return response

    async def _again(
        self, request: Request, failure: RetryableError, before: tuple[int, int], sending: Sending | None
    ) -> Response:
        """Send a request again until it is answered, or there is no sense in going on.

        *before* it the server had given so many answers, and so many good ones.
        """
        attempts, malformed, given_up = 1, 0, self._given_up
        answers, good = before
        said = {_words_of(failure)}
        """What the attempts came to."""
        while True:
            # Each malformed answer is paid for, and a server that sends two will send a third.
            malformed = malformed + 1 if isinstance(failure, MalformedResponseError) else 0
            heard = sending is not None and sending.heard
            if heard or malformed >= _MOST_MALFORMED or self._gives_up(failure, attempts):
                working = self._works(good, given_up)
                self._give_up()
                alike = len(said) == 1 and attempts > 1 and working
                if alike and (constraint := unserved_constraint(failure, request)):
                    raise unservable(failure, constraint, attempts) from failure
                raise self._final(failure, attempts, answers) from failure
            await self._wait(failure, attempts)
            attempts += 1
            self._retried(_kind(failure))
            try:
                response = await self._send(request, sending)
            except RetryableError as error:
                failure = error
                said.add(_words_of(error))
            except AskError as error:
                error.attempts = attempts
                raise
            else:
                timing = structs.replace(response.timing, attempts=attempts)
                return structs.replace(response, timing=timing)

    def _note_failure(self, error: AskError, sent_in: int) -> None:
        if isinstance(error, RateLimitError):
            self._limiter.throttled(sent_in, self._bearable(error))
        if not isinstance(error, ConnectionFailedError | RequestTimeoutError):
            self._answers += 1  # the server did answer
            self._failures += 1

    def _gives_up(self, failure: RetryableError, attempts: int) -> bool:
        return attempts >= self._max_attempts or _asked(failure) > self._backoff.patience

    async def _wait(self, failure: RetryableError, attempts: int) -> None:
        """Wait after a number of attempts."""
        backoff = self._backoff
        self._tell(f"retrying (attempt {attempts + 1} of {self._max_attempts}): {failure}")
        doubled = min(backoff.longest, backoff.first * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS))
        jitter = random.uniform(0, backoff.jitter)  # noqa: S311 - no secret
        await asyncio.sleep(max(doubled, _asked(failure)) + jitter)

    def _works(self, good: int, given_up: int) -> bool:
        """Tell whether the server answers others than a request that it fails on.

        Before that it had given so many good answers, and so many requests were given up. One that is down
        fails more requests than it answers.
        """
        failing = self._retrying - 1 + self._given_up - given_up
        if failing:
            return self._answered - good > failing
        return self._answered > 0 and self._last_given_up != self._answered

    def _give_up(self) -> None:
        self._given_up += 1
        self._last_given_up = self._answered

    @property
    def _answered(self) -> int:
        return self._answers - self._failures

    def _bearable(self, error: RetryableError) -> float | None:
        """Return how long all sending is to pause."""
        return error.retry_after if _asked(error) <= self._backoff.patience else None

    def _final(self, error: RetryableError, attempts: int, answers: int) -> AskError:
        """Return what a failure comes to when it isn't tried again."""
        said = f"{error.message} (after {attempts} attempt{'s' * (attempts > 1)})"
        if _asked(error) > self._backoff.patience:
            said = f"{said}; the server asks to wait {_asked(error):.0f} s"
            return EngineError(said, error.status, error.code, error.retry_after, attempts)
        if isinstance(error, MalformedResponseError):
            return MalformedError(said, error.status, error.code, attempts=attempts)
        if isinstance(error, ConnectionFailedError) and answers == self._answers:
            return EngineUnreachableError(said, attempts=attempts)
        return replace(error, message=said, attempts=attempts)


_MOST_DOUBLINGS = 60
_MOST_MALFORMED = 2
"""Malformed answers in a row that end a request."""

RETRY_KINDS = {
    RateLimitError: "rate_limit",
    ServerError: "server_error",
    RequestTimeoutError: "timeout",
    ConnectionFailedError: "connection",
    MalformedResponseError: "malformed",
}
"""Why a request is sent again -> the name under which such retries are counted."""


def _words_of(error: AskError) -> str:
    """Return what tells one failure from another."""
    return f"{type(error).__name__} {error.status} {unvaried(error.message)}"


def _kind(error: RetryableError) -> str:
    return next((name for kind, name in RETRY_KINDS.items() if isinstance(error, kind)), "other")


def _asked(error: AskError) -> float:
    return error.retry_after or 0.0
