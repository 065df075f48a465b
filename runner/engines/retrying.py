"""The one place where a request is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from msgspec import structs
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from runner.engines.base import Engine
from runner.engines.limits import Limiter
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

    async def generate(self, request: Request) -> Response:
        answers = self._answers
        try:
            # Nearly all requests succeed at once, and the retry library costs more than sending one.
            return await self._send(request)
        except RetryableError as error:
            return await self._again(request, error, answers)

    async def stream(self, request: Request) -> AsyncGenerator[str]:
        """Pass the text on as it comes; a stream is never asked again."""
        async with self._limiter, aclosing(self._engine.stream(request)) as texts:
            async for text in texts:
                yield text

    async def _send(self, request: Request) -> Response:
        limiter = self._limiter
        if not limiter.take():
            await limiter.wait()
        sent_in = limiter.round
        try:
            response = await self._engine.generate(request)
        except RateLimitError as error:
            limiter.throttled(sent_in, self._bearable(error))
            self._answers += 1
            raise
        except (ConnectionFailedError, RequestTimeoutError):
            raise
        except AskError:
            self._answers += 1
            raise
        finally:
            limiter.release()
        self._answers += 1
        limiter.answered()
        return response

    async def _again(self, request: Request, first: RetryableError, answers: int) -> Response:
        failure: RetryableError | None = first
        last: RetryableError = first
        attempts = 0

        async def attempt() -> Response:
            nonlocal failure, last, attempts
            attempts += 1
            if failure is not None:
                # The attempt that brought us here is the library's first.
                failed, failure = failure, None
                raise failed
            self._retried(_kind(last))
            try:
                return await self._send(request)
            except RetryableError as error:
                last = error
                raise

        self._retrying += 1
        try:
            response: Response = await self._library()(attempt)
        except RetryableError as error:
            raise self._final(error, attempts, answers) from error
        except AskError as error:
            error.attempts = attempts
            raise
        finally:
            self._retrying -= 1
            if not self._retrying:
                self._tell("")
        timing = structs.replace(response.timing, attempts=attempts)
        return structs.replace(response, timing=timing)

    def _library(self) -> AsyncRetrying:
        doubling = wait_exponential(multiplier=self._backoff.first, max=self._backoff.longest)
        jitter = wait_random(0, self._backoff.jitter)

        def wait(state: RetryCallState) -> float:
            return max(doubling(state), _asked(_failure(state))) + jitter(state)

        malformed = 0

        def stop(state: RetryCallState) -> bool:
            nonlocal malformed
            failure = _failure(state)
            # Each answer is paid for, and a server that sends two such will send a third.
            malformed = malformed + 1 if isinstance(failure, MalformedResponseError) else 0
            hopeless = _asked(failure) > self._backoff.patience or malformed >= _MOST_MALFORMED
            return hopeless or state.attempt_number >= self._max_attempts

        return AsyncRetrying(
            sleep=asyncio.sleep,
            stop=stop,
            wait=wait,
            before_sleep=self._say,
            retry=retry_if_exception_type(RetryableError),
            reraise=True,
        )

    def _say(self, state: RetryCallState) -> None:
        coming = state.attempt_number + 1
        self._tell(f"retrying (attempt {coming} of {self._max_attempts}): {_failure(state)}")

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


def _kind(error: RetryableError) -> str:
    return next((name for kind, name in RETRY_KINDS.items() if isinstance(error, kind)), "other")


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _asked(error: BaseException | None) -> float:
    return (error.retry_after or 0.0) if isinstance(error, AskError) else 0.0
